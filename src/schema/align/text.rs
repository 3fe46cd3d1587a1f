//! What a model wrote, read as a schema asks.

use serde_json::Value;

/// The document that a text is; `free`: also one that has to be mended.
pub fn document(text: &str, _free: bool) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// The value of the text that fits best.
pub fn read(
    schema: &crate::schema::Schema,
    text: &str,
    rules: super::Rules,
) -> crate::error::Result<super::Fit> {
    super::align(schema, &document(text, true).unwrap_or_else(|| text.into()), rules)
}
