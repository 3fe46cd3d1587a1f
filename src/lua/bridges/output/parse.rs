//! `output.parse`.

use super::aligned;
use super::source::{Source, TEXT, source};
use super::{FORMATS_OR_AUTO, RECOVERIES};
use crate::error::{Code, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run, Short};
use crate::output::{self, Format, Missing, Parsed, Prose, Reading};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::value::{Data, Document, MAX_DEPTH, Record};

/// Deepest nesting that can be asked for.
const DEEPEST: i64 = 1000;

/// How any text is read, whatever is wanted of it.
pub static MANNER: Shape = Shape::new(
    "ReaderOptions",
    &[
        Field::new(
            "format",
            Kind::Enum(FORMATS_OR_AUTO),
            "auto; json where a schema or fields are asked for",
            "what the text is",
        ),
        Field::new("recovery", Kind::Enum(RECOVERIES), "lenient", "how much may be wrong with it"),
        Field::new(
            "missing",
            Kind::Enum(&["null", "empty"]),
            "null",
            "what stands for a value that was never written: null, or the empty string",
        ),
        Field::new(
            "prose",
            Kind::Enum(&["error", "string"]),
            "string with best_effort, else error",
            "what a text without a document is",
        ),
        Field::new("max_depth", Kind::Int(1, DEEPEST), "100", "deepest nesting"),
        Field::new("max_bytes", Kind::Int(1, i64::MAX), "", "longest text"),
    ],
    &[],
);

pub static READING: Shape = Shape::new(
    "ReadOptions",
    &[
        Field::new(
            "schema",
            Kind::Schema,
            "",
            "what the value has to look like; the text is read as it asks",
        ),
        Field::new(
            "fields",
            Kind::OneOf(&[Kind::List(&Kind::Name), Kind::Map]),
            "",
            "only these values: paths as `choices[1].message.content`, or a table of paths by the names they are to have",
        ),
        Field::new("all", Kind::Bool, "false", "every document of the text, as an array"),
    ],
    &[&MANNER],
);

pub const FORMAT_OR_OPTIONS: &[Kind] = &[Kind::Enum(FORMATS_OR_AUTO), Kind::Table(&READING)];

pub const PARSE: Function = Function {
    name: "parse",
    params: &[TEXT, Param::new("format_or_options", Kind::OneOf(FORMAT_OR_OPTIONS)).optional()],
    returns: &[("value", "any"), ("info", "zigllms.ReadInfo")],
    doc: "Reads a text into a Lua value, as strictly as `recovery` says: \"strict\" takes one valid document that \
          is the whole text; \"lenient\" also what can be put right without losing anything, in a fence or between \
          sentences; \"best_effort\" whatever there is. The second result tells what was repaired. JSON and YAML \
          give their values, with nulls, and with marks on arrays and empty objects; XML gives `{root=…}`, \
          attributes as \"@name\", text beside them as \"#text\", elements of one name as an array; Markdown what \
          `extract_markdown` gives; plain text is trimmed. Without a format it is found out, and prose is no \
          document. The response of an agent or provider is read for its content; any other table is returned as it \
          is. With a schema, the text is read as it asks: the document that fits it best, aligned to it.",
    errors: &[Code::ParseFailed, Code::ValidationFailed, Code::NotFound, Code::Unsupported],
    effect: Effect::Pure,
    example: "local city = zigllms.output.parse('{\"city\":\"Oslo\"}', \"json\").city\nassert(city == \"Oslo\")",
    run: Run::Short(Short::Parse, parse),
};

fn parse(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    if let Some(data) = aligned::read(runtime, args)? {
        return Ok(data);
    }
    let text = match source(args)? {
        Source::Text(text) => text,
        Source::Table(slot) => return Ok(slot.into()),
    };
    let reading = reading(args);
    let mut document = Document::default();
    let parsed = output::parse(text, &reading, &mut document.tape)?;
    document.root = parsed.root;
    let document = picked(runtime, args, document)?;
    Ok(Data::Many(vec![document.into(), info(&parsed).into()]))
}

/// What `fields` asks for, or all of it.
pub fn picked(runtime: &mut Runtime, args: &Args<'_>, whole: Document) -> Result<Document> {
    let options = args.options(1, &READING);
    let Some(wanted) = options.get("fields") else { return Ok(whole) };
    runtime.fields.want(wanted, "format_or_options.fields")?;
    let mut document = Document::default();
    if let Some(value) = whole.value() {
        runtime.fields.pick(value, &mut document);
    }
    Ok(document)
}

/// The second argument: a format's name or options.
pub fn reading(args: &Args<'_>) -> Reading {
    match args.text(1) {
        Some(name) => Reading { format: Format::named(name), ..Reading::default() },
        None => from_options(&args.options(1, &READING)),
    }
}

fn from_options(options: &Options<'_>) -> Reading {
    let word = |name| options.word(name);
    // Who names members means JSON, the only format that is asked for in a prompt by its members.
    let guided = options.get("schema").is_some() || options.get("fields").is_some();
    let default = if guided { Some(Format::Json) } else { None };
    Reading {
        format: word("format").map_or(default, Format::named),
        recovery: word("recovery").and_then(output::level_named).unwrap_or_default(),
        missing: if word("missing") == Some("empty") { Missing::Empty } else { Missing::Null },
        prose: word("prose").map(|it| if it == "string" { Prose::String } else { Prose::Error }),
        all: options.bool("all").unwrap_or_default(),
        max_depth: options.int("max_depth").map_or(MAX_DEPTH, |n| n as usize),
        max_bytes: options.int("max_bytes").map(|n| n as usize),
    }
}

/// What was read and what it took; positions count from 1, as in `string.sub`.
pub fn info(parsed: &Parsed) -> Record {
    Record::new()
        .set("format", parsed.format.name())
        .set("recovered", !parsed.fixes.is_empty())
        .set("fixes", parsed.fixes.clone())
        .set("warnings", parsed.warnings.clone())
        .set("start", parsed.start + 1)
        .set("stop", parsed.stop)
}
