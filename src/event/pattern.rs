//! Stand-in.
use crate::error::Result;

#[derive(Clone, Debug)]
pub struct Pattern(String);

impl Pattern {
    pub fn parse(text: &str) -> Result<Pattern> {
        Ok(Pattern(text.to_owned()))
    }

    pub fn matches(&self, name: &str) -> bool {
        crate::value::glob::matches(&self.0, name)
    }
}
