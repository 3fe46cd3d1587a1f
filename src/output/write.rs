//! A value into a text.

use super::{Format, prose};
use crate::error::Result;
use crate::value::json::{self, Style};
use crate::value::{Ref, xml, yaml};

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
        Format::Markdown => Ok(prose::markdown(value)),
        Format::Plain => Ok(prose::plain(value)),
    }
}

fn write_json(value: Ref<'_>, writing: &Writing) -> String {
    json::to_styled(value, Style { indent: writing.indent, sort_keys: writing.sort_keys })
}
