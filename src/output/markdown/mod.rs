//! What a Markdown text holds: sections, code, tables, lists, links.
//!
//! Block structure is that of CommonMark, with the tables of GitHub. The rules of each claim:
//!
//! - `sections`: every heading, also one in a block quote or list item; its text without markup.
//!   The content is the source up to the next heading beside it, or to the end of the quote or item.
//! - `code_blocks`: fenced and indented ones; the language is the first word behind the fence. The
//!   content is as CommonMark has it: without indentation, with a line feed at its end. The line is
//!   that of the fence.
//! - `tables`: the header cells, and rows by header. A header that is empty or repeated is named by
//!   the number of its column.
//! - `lists`: each list, nested ones too, in the order they begin; `level` counts the lists around
//!   it, itself included. Items are text without markup and without the lists in them; a nested list
//!   names the list and item it is in.
//! - `links`: inline links, references that are defined, autolinks. Images are none.
//! - `front_matter`: a YAML mapping between `---` lines at the very beginning.
//! - `text`: everything to read, without markup. A block is a paragraph, an item a line.

mod collect;
mod front;
mod onto;

use crate::error::Result;
use crate::value::Tape;

pub use collect::{CodeBlock, Link, List, Markdown, Section, Table, collect};
pub use front::split as split_front_matter;

/// What is wanted of a text.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Names of the parts; all if there are none.
    pub only: Vec<&'static str>,
    /// Of the code blocks.
    pub language: Option<String>,
}

pub const PARTS: &[&str] =
    &["sections", "code_blocks", "tables", "lists", "links", "front_matter", "text"];

impl Wanted {
    fn has(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn language(&self, block: &CodeBlock) -> bool {
        let wanted = self.language.as_deref();
        wanted.is_none_or(|wanted| block.language.eq_ignore_ascii_case(wanted))
    }
}

/// Writes the parts of a text onto the tape; gives the position of the table.
pub fn extract(text: &str, wanted: &Wanted, tape: &mut Tape) -> Result<usize> {
    let root = tape.len();
    let (front, body) = front::split(text);
    let parts = collect(text, body);
    onto::write(&parts, front, wanted, tape).inspect_err(|_| tape.truncate(root))?;
    Ok(root)
}

#[cfg(test)]
mod tests;
