//! Events that are kept.

use crate::error::{Code, Result};
use crate::event::recorder::{self, Plan};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::lua::faces::{ASYNC, face};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Shape};
use crate::step::Ready;

use super::parsed;

/// Of the longest time that can be told.
const DURATION: Kind = Kind::Number(1.0, 1e13);

const RING: i64 = 10_000;

static OPTIONS: Shape = Shape::new(
    "RecordOptions",
    &[
        Field::new(
            "name",
            Kind::Name,
            "",
            "stands for the id; in a store it is how others find it",
        ),
        Field::new("duration_ms", DURATION, "", "it stops so long after it began"),
        Field::new(
            "max_events",
            Kind::Int(1, 10_000_000),
            "10000",
            "of more than so many it keeps the latest",
        ),
        Field::new(
            "file",
            Kind::Name,
            "",
            "path of a file that each event is put at the end of as a line of JSON as well",
        ),
        Field::new(
            "store",
            Kind::Bool,
            "false",
            "true: events lie in the store of `configure{store=}`, where other processes find them by name; without a store \
             in this process",
        ),
        ASYNC,
    ],
    &[],
);

const HOW: Kind = Kind::OneOf(&[DURATION, Kind::Table(&OPTIONS)]);

pub const RECORD: Function = Function {
    name: "record",
    params: &[Param::new("pattern", Kind::Name).optional(), Param::new("options", HOW).optional()],
    returns: &[("recorder_id", "string")],
    doc: "Keeps copies of the events whose names match, of all unless told, from the next one on; a number is \
          `duration_ms`. `unsubscribe` stops it; what it has stays until `clear`. Lines of a file are written together as \
          writes to the store are: by `configure{batch=}`, `flush`, `unsubscribe` and the end. A file is made for its owner \
          only to read; `max_events` does not shorten it. What is no plain data (functions, userdata) is left out, \
          which `unrecorded` of the event then names, and is reported as an error of a handler. With a store it waits.",
    errors: &[Code::IoError, Code::Unsupported, Code::InvalidState, Code::Cancelled],
    effect: Effect::Writes("subs"),
    example: "local recorder = zigllms.event.record(\"order.*\", { max_events = 100 })\n\
              zigllms.event.emit(\"order.paid\", { total = 12 })\n\
              assert(zigllms.event.filter{ recorder = recorder }[1].data.total == 12)",
    run: Run::Perhaps(None, record),
};

fn record(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let options = args.options(1, &OPTIONS);
    let duration = args.get(1).and_then(|value| value.as_f64());
    let file = options.text("file");
    let file = file.map(|path| recorder::absolute(&path, "options.file")).transpose()?;
    parsed(args.text(0).unwrap_or("*"), "argument #1: pattern")?;
    let plan = Plan {
        name: options.text("name").unwrap_or_default(),
        pattern: args.text(0).unwrap_or("*").to_owned(),
        duration_ms: duration.or_else(|| options.number("duration_ms")),
        max_events: options.int("max_events").unwrap_or(RING) as usize,
        file,
        store: options.bool("store") == Some(true),
    };
    recorder::start(runtime, plan, face(&options))
}
