//! Values read as a schema means them: the one core of `coerce`, of `extract`, and of reading what
//! a model wrote.
//!
//! Each way to read a value has a cost, how many repairs it takes; where a schema offers
//! alternatives, the cheapest wins, the first among equals.
//!
//! ```
//! use serde_json::json;
//! use zigllms::schema::{Schema, align::{Rules, align}};
//! let schema = Schema::compile(&json!({"properties": {"n": {"type": "integer"}}})).unwrap();
//! let fit = align(&schema, &json!({"n": "1,234"}), Rules::text()).unwrap();
//! assert_eq!((fit.value, fit.changed), (json!({"n": 1234}), vec!["/n".to_owned()]));
//! ```

mod numbers;
mod object;
mod parts;
mod scalar;
pub mod text;
mod walk;
mod words;

use serde_json::Value;

use super::{Schema, violation};
use crate::error::Result;
use crate::value::{Tape, json};

/// How freely a value is read.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// All that models do: numbers among words, other spellings of keys, a value where an object
    /// of one member is wanted. Otherwise only what programs write too.
    pub free: bool,
    /// Members that the schema does not describe are dropped.
    pub described: bool,
    /// The value may be unfinished: what is missing may be, what does not fit is left out.
    pub partial: bool,
    /// Space around texts is dropped.
    pub trim: bool,
}

impl Rules {
    /// What `schema.coerce` does.
    pub fn coerce() -> Rules {
        Rules { free: false, described: false, partial: false, trim: true }
    }

    /// What `schema.extract` does to tables.
    pub fn extract() -> Rules {
        Rules { described: true, ..Rules::coerce() }
    }

    /// For the text of a model.
    pub fn text() -> Rules {
        Rules { free: true, described: false, partial: false, trim: false }
    }
}

/// A value as its schema means it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    pub value: Value,
    /// How much had to be read into it; 0 = nothing.
    pub cost: u32,
    /// JSON pointers to what was changed.
    pub changed: Vec<String>,
}

impl Fit {
    fn same(value: Value) -> Fit {
        Fit { value, cost: 0, changed: Vec::new() }
    }

    fn changed(value: Value, cost: u32) -> Fit {
        Fit { value, cost, changed: vec![String::new()] }
    }
}

/// Reads a value; what is wrong with it all the same is the error.
pub fn align(schema: &Schema, value: &Value, rules: Rules) -> Result<Fit> {
    match attempt(schema, value, rules) {
        Ok(fit) => Ok(fit),
        Err(nearest) => Err(misfit(schema, &nearest)),
    }
}

/// The fit, or the value as it stands after all that could be done.
pub(super) fn attempt(
    schema: &Schema,
    value: &Value,
    rules: Rules,
) -> std::result::Result<Fit, Value> {
    let Some(fit) = walk::fit(schema, value, rules) else {
        return Err(walk::nearest(schema, value, rules));
    };
    match rules.partial || is_valid(schema, &fit.value) {
        true => Ok(fit),
        false => Err(fit.value),
    }
}

fn is_valid(schema: &Schema, value: &Value) -> bool {
    let mut tape = Tape::default();
    let at = json::put(value, &mut tape);
    schema.is_valid(tape.view(at))
}

fn misfit(schema: &Schema, value: &Value) -> crate::error::Error {
    let mut tape = Tape::default();
    let at = json::put(value, &mut tape);
    match schema.check(tape.view(at)).as_slice() {
        [] => crate::error::Error::new(
            crate::error::Code::ValidationFailed,
            "the value cannot be read as the schema asks",
        ),
        violations => violation::misfit(violations),
    }
}

#[cfg(test)]
mod tests;
