//! A value into a text.

use serde::Serialize;

use super::Format;
use crate::error::{Error, Result};
use crate::value::{Ref, json, xml, yaml};

/// How to write a value.
#[derive(Clone, Debug, Default)]
pub struct Writing {
    /// Spaces for each level of JSON; `None`: all on one line.
    pub indent: Option<usize>,
    pub sort_keys: bool,
    /// Name of the outermost element of XML.
    pub root: Option<String>,
}

pub fn write(value: Ref<'_>, format: Format, writing: &Writing) -> Result<String> {
    match format {
        Format::Json => Ok(write_json(value, writing)),
        Format::Yaml => Ok(yaml::write(value)),
        Format::Xml => xml::write(value, writing.root.as_deref()),
        format => Err(Error::unsupported(format!("cannot write {} yet", format.name()))),
    }
}

fn write_json(value: Ref<'_>, writing: &Writing) -> String {
    match (writing.indent, writing.sort_keys) {
        (None, false) => json::to_string(value),
        (None, true) => json::to_sorted(value),
        (Some(indent), sort) => pretty(value, indent, sort),
    }
}

fn pretty(value: Ref<'_>, indent: usize, sort_keys: bool) -> String {
    let mut owned = value.to_json();
    if sort_keys {
        owned.sort_all_objects();
    }
    let (spaces, mut text) = (" ".repeat(indent), Vec::new());
    let style = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
    let mut to = serde_json::Serializer::with_formatter(&mut text, style);
    let _ = owned.serialize(&mut to);
    String::from_utf8(text).unwrap_or_default()
}
