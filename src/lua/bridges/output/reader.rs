//! `output.reader`; `lua/reader.lua` and `lua/short/reader.rs` carry it out.

use super::parse::MANNER;
use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::runtime::Runtime;
use crate::shape::Kind;
use crate::value::Data;

pub const READER: Function = Function {
    name: "reader",
    params: &[
        Param::new("paths", Kind::OneOf(&[Kind::Name, Kind::List(&Kind::Name)])),
        Param::new("options", Kind::Table(&MANNER)).optional(),
    ],
    returns: &[("read", "fun(text: string|table): ...any")],
    doc: "Makes a function that reads single values out of texts: one path as `choices[1].message.content`, or an \
          array of at most 200. It returns their values in that order, without a table around them: nil where there is none, \
          `zigllms.null` for null. This is the cheapest way to one value of a JSON text: the rest is checked and \
          skipped. The options, which are those of `parse`, are kept; the function raises and repairs as `parse` does \
          with `fields`, and its calls count as that function's.",
    errors: &[Code::ParseFailed],
    effect: Effect::Pure,
    example: "local read = zigllms.output.reader({ \"places[1].city\", \"count\" })\n\
              local name, count = read('{\"places\":[{\"city\":\"Oslo\"}],\"count\":7}')\n\
              assert(name == \"Oslo\" and count == 7)",
    run: Run::Now(reader),
};

/// The number by which `lua/reader.lua` takes what is wanted.
fn reader(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let paths = args.get(0).ok_or_else(|| Error::invalid("paths: expected a path"))?;
    let number = runtime.fields.hand(paths, "paths")?;
    Ok(Data::Int(number as i64))
}
