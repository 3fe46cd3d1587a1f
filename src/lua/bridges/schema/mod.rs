//! `zigllms.schema`: what data must look like, and data made to look like it.
//!
//! A file for each group of functions; `given.rs` is what they have in common: the options.

mod change;
pub mod check;
mod given;
mod known;
mod make;

pub use check as answers;

use crate::lua::bridge::{Bridge, Constants};

pub static BRIDGE: Bridge = Bridge {
    name: "schema",
    doc: "JSON Schema: checks data, makes data fit, and makes schemas. A schema is a JSON Schema as a table or as JSON \
          text, the short form `{name=\"string\", age=\"integer?\", tags={\"string\"}}`, a boolean, the id or name of a \
          created schema, or a compiled one.",
    constants: &[
        Constants {
            name: "Type",
            members: &[
                ("OBJECT", "object"),
                ("ARRAY", "array"),
                ("STRING", "string"),
                ("NUMBER", "number"),
                ("BOOLEAN", "boolean"),
                ("NULL", "null"),
                ("INTEGER", "integer"),
            ],
        },
        Constants {
            name: "Format",
            members: &[("EMAIL", "email"), ("URI", "uri"), ("DATE", "date"), ("UUID", "uuid")],
        },
    ],
    functions: &[
        check::VALIDATE,
        make::GENERATE,
        change::COERCE,
        change::EXTRACT,
        make::MERGE,
        known::CREATE,
        known::COMPILE,
        known::GET_INFO,
    ],
    extras: &[check::CHECK],
};
