//! `output.recover`.

use super::parse::{FORMAT_OR_OPTIONS, info, reading};
use super::source::{TEXT, text};
use crate::error::{Code, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::output::{self, Format, Reading, Recovery, Writing};
use crate::runtime::Runtime;
use crate::shape::Kind;
use crate::value::{Data, Document};

pub const RECOVER: Function = Function {
    name: "recover",
    params: &[TEXT, Param::new("format_or_options", Kind::OneOf(FORMAT_OR_OPTIONS)).optional()],
    returns: &[("value", "any"), ("info", "zigllms.ReadInfo")],
    doc: "Reads the JSON in a text whatever is wrong with it: `parse` with `recovery=\"best_effort\"`, which the \
          options cannot lower. `info.text` is the document as it should have been written. Several documents become \
          an array; a text without any is a string, or an error with `prose=\"error\"`. Two libraries that people know \
          are matched best by `{missing=\"null\"}` (jsonrepair) and `{missing=\"empty\", prose=\"error\"}` \
          (json_repair). Raises for an empty text.",
    errors: &[Code::ParseFailed],
    effect: Effect::Pure,
    example: "local value, info = zigllms.output.recover(\"{city: 'Oslo', temps: [3, 4\")\n\
              assert(value.temps[2] == 4 and info.text:find(\"[3,4]}\", 1, true))",
    run: Run::Now(recover),
};

fn recover(_: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let text = text(args)?;
    let asked = reading(args);
    let reading = Reading { recovery: Recovery::BestEffort, format: format(args, &asked), ..asked };
    let mut document = Document::default();
    let parsed = output::parse(text, &reading, &mut document.tape)?;
    document.root = parsed.root;
    let format = if parsed.format == Format::Plain { Format::Json } else { parsed.format };
    let written = document.value().map(|value| output::write(value, format, &Writing::default()));
    let info = info(&parsed).set("text", written.transpose()?);
    Ok(Data::Many(vec![document.into(), info.into()]))
}

/// JSON unless another format is asked for.
fn format(args: &Args<'_>, asked: &Reading) -> Option<Format> {
    let named =
        args.get(1).is_some_and(|given| given.as_str().is_some() || given.get("format").is_some());
    if named { asked.format } else { Some(Format::Json) }
}
