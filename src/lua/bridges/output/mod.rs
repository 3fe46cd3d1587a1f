//! `zigllms.output`: reading what models write, and writing what they read.
//!
//! A file for each group of functions; each holds their declarations and their thin calls into the
//! core. `source.rs` is what they have in common: the text to read.
//!
//! - `parse.rs`: `parse`, and where it is aligned to a schema. Here also belong `recover`,
//!   `extract_json` and `extract_tool_calls`, in files of their own.
//! - `reader.rs`: `reader`, single values time and again.
//! - `format.rs`: `format`. `markdown.rs`: `extract_markdown`. `detect.rs`: what a text is.

mod aligned;
mod calls;
mod detect;
mod extract;
mod format;
mod markdown;
mod parse;
mod reader;
mod recover;
mod source;
mod stream;

use crate::lua::bridge::{Bridge, Constants};
use crate::shape::Kind;

/// Formats and levels by name.
const FORMATS: &[&str] = &["json", "yaml", "xml", "markdown", "plain"];
const FORMATS_OR_AUTO: &[&str] = &["auto", "json", "yaml", "xml", "markdown", "plain"];
const RECOVERIES: &[&str] = &["strict", "lenient", "best_effort"];
const FORMAT: Kind = Kind::Enum(FORMATS);

pub static BRIDGE: Bridge = Bridge {
    name: "output",
    doc: "Reads what models write, as they write it, and writes what they read.",
    constants: &[
        Constants {
            name: "Format",
            members: &[
                ("JSON", "json"),
                ("YAML", "yaml"),
                ("XML", "xml"),
                ("MARKDOWN", "markdown"),
                ("PLAIN", "plain"),
            ],
        },
        Constants {
            name: "Recovery",
            members: &[
                ("STRICT", "strict"),
                ("LENIENT", "lenient"),
                ("BEST_EFFORT", "best_effort"),
            ],
        },
    ],
    functions: &[
        parse::PARSE,
        format::FORMAT,
        detect::DETECT_FORMAT,
        detect::VALIDATE_FORMAT,
        extract::EXTRACT_JSON,
        markdown::EXTRACT_MARKDOWN,
        recover::RECOVER,
        detect::GET_SCHEMA,
    ],
    extras: &[stream::STREAM, reader::READER, calls::EXTRACT_TOOL_CALLS],
};
