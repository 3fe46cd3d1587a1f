//! `output.format`.

use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Read, Run, Short};
use crate::output::{self, Format, Writing};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Shape};
use crate::value::{Data, Tape};

pub static WRITING: Shape = Shape::new(
    "WriteOptions",
    &[
        Field::new("pretty", Kind::Bool, "false", "JSON: on many lines"),
        Field::new("indent", Kind::Int(0, 16), "2 with pretty", "JSON: spaces for each level"),
        Field::new("sort_keys", Kind::Bool, "false", "JSON: members in the order of their names"),
        Field::new("root", Kind::Name, "root", "XML: name of the outermost element"),
    ],
    &[],
);

pub const FORMAT: Function = Function {
    name: "format",
    params: &[
        Param::new("value", Kind::Any).read(Read::Data),
        Param::new("format", super::FORMAT).optional(),
        Param::new("options", Kind::Table(&WRITING)).optional(),
    ],
    returns: &[("text", "string")],
    doc: "Writes a value as text. JSON and YAML read back as the same value; YAML, XML, Markdown and plain text have \
          their members sorted, so the text is the same in every run. XML is written the way `parse` gives it: \"@name\" \
          becomes an attribute, \"#text\" text, an array repeats its element. Markdown shows an array of objects as a table, \
          members as a list, members that hold others as sections.",
    errors: &[Code::ConversionError],
    effect: Effect::Pure,
    example: "assert(zigllms.output.format({ city = \"Oslo\" }) == '{\"city\":\"Oslo\"}')",
    run: Run::Short(Short::Format, format),
};

fn format(_: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let format = args.text(1).and_then(Format::named).unwrap_or(Format::Json);
    let options = args.options(2, &WRITING);
    let indent = options.int("indent").map(|n| n as usize);
    let writing = Writing {
        indent: indent.or_else(|| options.bool("pretty")?.then_some(2)),
        sort_keys: options.bool("sort_keys").unwrap_or_default(),
        root: options.text("root"),
    };
    let nil = nil();
    let value = args.get(0).or_else(|| nil.root());
    let value = value.ok_or_else(|| Error::internal("an empty tape"))?;
    output::write(value, format, &writing).map(Data::from)
}

fn nil() -> Tape {
    let mut tape = Tape::default();
    tape.null();
    tape
}
