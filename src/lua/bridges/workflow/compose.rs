//! Making one workflow of several.

use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::runtime::Runtime;
use crate::shape::Kind;
use crate::value::Data;
use crate::workflow::definition::shape::{COMPOSITION, PART, PATTERNS};

static ONE: Kind = Kind::OneOf(&[Kind::Text, Kind::Later(&PART)]);

const HOW: Kind = Kind::OneOf(&[Kind::Enum(PATTERNS), Kind::Later(&COMPOSITION)]);

pub const COMPOSE: Function = Function {
    name: "compose",
    params: &[Param::new("workflows", Kind::List(&ONE)), Param::new("how", HOW).optional()],
    returns: &[("workflow_id", "string")],
    doc: "Makes one workflow of several: each is a step that executes it, and is called as it is named here. A part is an id \
          or name, a definition, or `{id, input, output, condition, on_error, default}`. The pattern decides: \
          sequential hands each output to the next, parallel gives all the same input, conditional executes the first \
          whose condition holds, loop repeats them. The parts stay workflows of their own.",
    errors: &[Code::NotFound, Code::ValidationFailed],
    effect: Effect::Writes("workflows"),
    example: "local say = { name = \"say\", steps = { { type = \"transform\", template = \"Hello, {{input}}\" } } }\n\
              local shout = { name = \"shout\", steps = { { type = \"transform\", template = \"{{input}}!\" } } }\n\
              local both = zigllms.workflow.compose({ say, shout })\n\
              assert(zigllms.workflow.execute(both, \"Lua\").output == \"Hello, Lua!\")",
    run: Run::Now(compose),
};

fn compose(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let parts = args.get(0).ok_or_else(|| Error::invalid("workflows: expected an array"))?;
    let number = crate::workflow::compose::compose(runtime, parts, args.get(1))?;
    Ok(Data::from(runtime.workflows.known.id(number)))
}
