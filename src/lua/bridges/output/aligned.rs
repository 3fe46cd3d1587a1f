//! Where reading and schemas meet: `output.parse` with a schema.

use serde_json::Value;

use super::parse::{READING, picked, reading};
use super::source::{Source, source};
use crate::error::Result;
use crate::lua::args::Args;
use crate::output::{self, Format, Reading, Recovery};
use crate::runtime::Runtime;
use crate::schema::align::text::From;
use crate::schema::align::{Fit, Rules, align, text};
use crate::schema::{self, Schema};
use crate::value::{Data, Document, Record, Ref, Tape, json};

/// Value and info, if the options have a schema.
pub fn read(runtime: &mut Runtime, args: &Args<'_>) -> Result<Option<Data>> {
    if args.text(1).is_some() {
        return Ok(None);
    }
    let options = args.options(1, &READING);
    let Some(given) = options.get("schema") else { return Ok(None) };
    let schema = runtime.schemas.compile(given, &schema::Options::default(), &mut runtime.cache)?;
    let reading = reading(args);
    let format = reading.format.unwrap_or(Format::Json);
    let (fit, from) = match source(args)? {
        Source::Text(text) => {
            read_text(&schema, text, &Reading { format: Some(format), ..reading })?
        }
        // It has been read already.
        Source::Table(_) => {
            let value = args.get(0).map(Ref::to_json).unwrap_or_default();
            (align(&schema, &value, Rules { trim: false, ..Rules::coerce() })?, From::default())
        }
    };
    let info = info(format, &fit, from);
    Ok(Some(Data::Many(vec![result(runtime, args, fit.value)?, info.into()])))
}

fn read_text(schema: &Schema, text: &str, reading: &Reading) -> Result<(Fit, From)> {
    let strict = reading.recovery == Recovery::Strict;
    if reading.format == Some(Format::Json) && !strict {
        output::check_size(text, reading)?;
        return text::read(schema, text, Rules::text());
    }
    let mut tape = Tape::default();
    let parsed = output::parse(text, reading, &mut tape)?;
    let value = tape.at(parsed.root).map(Ref::to_json).unwrap_or_default();
    let rules = Rules { free: !strict, ..Rules::text() };
    let from = From { start: parsed.start, stop: parsed.stop, fixes: parsed.fixes };
    Ok((align(schema, &value, rules)?, from))
}

fn info(format: Format, fit: &Fit, from: From) -> Record {
    let mut fixes = from.fixes;
    if !fit.changed.is_empty() {
        fixes.push("schema");
    }
    Record::new()
        .set("format", format.name())
        .set("recovered", !fixes.is_empty())
        .set("fixes", fixes)
        .set("warnings", Vec::<String>::new())
        .set("changed", fit.changed.clone())
        .set("start", from.start + 1)
        .set("stop", from.stop)
}

/// All of the value, or what `fields` asks for. As a whole, null is nil.
fn result(runtime: &mut Runtime, args: &Args<'_>, value: Value) -> Result<Data> {
    if args.options(1, &READING).get("fields").is_some() {
        let mut whole = Document::default();
        whole.root = json::put(&value, &mut whole.tape);
        return Ok(picked(runtime, args, whole)?.into());
    }
    Ok(if value.is_null() { Data::Nil } else { value.into() })
}
