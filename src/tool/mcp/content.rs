//! The result of a call: what it is as a value, and how a model reads it.

use serde_json::{Value, json};

use super::rpc::Refusal;
use crate::error::{Code, Error, Result};

/// The value: the structured one if there is one; the text if there is nothing but text; else all
/// blocks as they came. The text: all that can be read of the blocks, else the value.
pub fn read(mut result: Value) -> Result<(Value, String)> {
    let blocks = blocks_of(&mut result)?;
    let text = in_words(&blocks);
    let structured = result["structuredContent"].take();
    if result["isError"] == true {
        let reason =
            if blocks.is_empty() && !structured.is_null() { structured.to_string() } else { text };
        return Err(failed(&reason, &blocks));
    }
    if !structured.is_null() {
        let text = if blocks.is_empty() { structured.to_string() } else { text };
        return Ok((structured, text));
    }
    let only_text = blocks.iter().all(|block| block["type"] == "text");
    let value = if only_text { Value::from(text.as_str()) } else { Value::Array(blocks) };
    Ok((value, text))
}

fn blocks_of(result: &mut Value) -> Result<Vec<Value>> {
    let wrong =
        |what| Err(Error::new(Code::BadResponse, format!("the result of the call is {what}")));
    if !result.is_object() {
        return wrong("no object");
    }
    match result["content"].take() {
        Value::Array(blocks) => Ok(blocks),
        Value::Null => Ok(Vec::new()),
        // Encoders that know tables only write an empty array as an object.
        Value::Object(members) if members.is_empty() => Ok(Vec::new()),
        _ => wrong("without a list of content blocks"),
    }
}

fn failed(text: &str, blocks: &[Value]) -> Error {
    let message = if text.is_empty() { "the server gives no reason" } else { text };
    let only_text = blocks.iter().all(|block| block["type"] == "text");
    let details = (!only_text).then(|| json!({ "content": blocks }));
    Error::new(Code::ToolError, message).with(|f| f.details = details)
}

/// The server has refused to make the call.
pub fn refused(refusal: &Refusal) -> Error {
    let Refusal { code, message, data } = refusal;
    let mut details = json!({ "code": code });
    if !data.is_null() {
        details["data"] = data.clone();
    }
    Error::new(Code::ToolError, format!("{message} ({code})")).with(|f| f.details = Some(details))
}

fn in_words(blocks: &[Value]) -> String {
    blocks.iter().map(block_in_words).collect::<Vec<_>>().join("\n")
}

/// What is no text is named, so that a model knows of it.
fn block_in_words(block: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let size = |value: &Value| value.as_str().map_or(0, |text| text.len() / 4 * 3);
    match block["type"].as_str() {
        Some("text") => word(&block["text"]),
        Some(kind @ ("image" | "audio")) => {
            format!("[{kind} {}, {} bytes]", word(&block["mimeType"]), size(&block["data"]))
        }
        Some("resource") => {
            let resource = &block["resource"];
            match resource["text"].as_str() {
                Some(text) => text.to_owned(),
                None => {
                    let (uri, kind) = (word(&resource["uri"]), word(&resource["mimeType"]));
                    format!("[resource {uri} {kind}, {} bytes]", size(&resource["blob"]))
                }
            }
        }
        Some("resource_link") => {
            format!("[resource {} {}]", word(&block["uri"]), word(&block["name"]))
        }
        _ => block.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        json!({ "type": "text", "text": text })
    }

    #[test]
    fn what_is_no_result_is_told() {
        for wrong in [json!("text"), json!([1]), json!(null), json!({ "content": "text" })] {
            assert_eq!(read(wrong.clone()).unwrap_err().code(), Code::BadResponse, "{wrong}");
        }
        let why = json!({ "isError": true, "content": [], "structuredContent": { "why": "x" } });
        assert_eq!(read(why).unwrap_err().message(), "{\"why\":\"x\"}");
    }

    #[test]
    fn a_result_is_a_value_and_a_text() {
        let both = |result| read(result).unwrap();
        assert_eq!(
            both(json!({ "content": [text("a"), text("b")] })),
            (json!("a\nb"), "a\nb".into())
        );
        assert_eq!(both(json!({})), (json!(""), String::new()));
        let structured = json!({ "content": [text("it is 4")], "structuredContent": { "n": 4 } });
        assert_eq!(both(structured), (json!({ "n": 4 }), "it is 4".into()));
        let bare = json!({ "content": [], "structuredContent": { "n": 4 } });
        assert_eq!(both(bare), (json!({ "n": 4 }), "{\"n\":4}".into()));
        let image = json!({ "type": "image", "mimeType": "image/png", "data": "AAAA" });
        let link = json!({ "type": "resource_link", "uri": "file:///x", "name": "x" });
        let mixed = json!({ "content": [text("see"), image, link] });
        let (value, words) = both(mixed.clone());
        assert_eq!(value, mixed["content"]);
        assert_eq!(words, "see\n[image image/png, 3 bytes]\n[resource file:///x x]");
    }

    #[test]
    fn an_error_is_told_in_its_own_words() {
        let error = read(json!({ "content": [text("no disk")], "isError": true })).unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::ToolError, "no disk"));
        let refusal = Refusal { code: -32602, message: "unknown tool".into(), data: Value::Null };
        assert_eq!(refused(&refusal).message(), "unknown tool (-32602)");
    }
}
