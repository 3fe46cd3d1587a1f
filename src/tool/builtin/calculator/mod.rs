//! `calculator`: arithmetic in a text. Nothing in it is code: there are numbers, signs and a fixed
//! list of functions.

mod functions;
mod number;
mod parse;

pub use number::Number;

use serde_json::{Value, json};

use super::{Builtin, Work};
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;

pub static CALCULATOR: Builtin = Builtin {
    name: "calculator",
    aliases: &["math_calculator"],
    description: "Computes an arithmetic expression and returns the number. Knows + - * / % ^ and parentheses (^ from \
                  right to left, before a sign: -2^2 is -4; % has the sign of the divisor), pi e tau phi, and sqrt cbrt abs sign floor ceil \
                  round trunc exp ln log log10 log2 pow hypot gcd lcm factorial sin cos tan asin acos atan atan2 sinh cosh tanh deg rad \
                  min max sum mean median variance stddev count. log(x) is natural, log(x, base) is not; angles are in radians; \
                  the last row takes any count of numbers, also as [1, 2, 3].",
    category: "data",
    capabilities: &[],
    parameters: |_| {
        json!({
            "type": "object",
            "properties": {
                "expression": {
                    "type": "string",
                    "description": "for example \"(2 + 3) * sqrt(16)\"",
                    "maxLength": parse::LONGEST,
                },
            },
            "required": ["expression"],
        })
    },
    returns: || json!({ "type": "number" }),
    offered: |_| true,
    start,
};

fn start(_: &Runtime, input: Value) -> Result<Work> {
    let expression = input["expression"]
        .as_str()
        .ok_or_else(|| Error::new(Code::ValidationFailed, "expected {expression = \"…\"}"))?;
    Ok(Work::Done(parse::compute(expression)?.to_json()))
}
