//! Recorded events told again.

use crate::error::{Code, Result};
use crate::event::recorder::{self, Criteria, Replay, Replaying};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::lua::faces::{ASYNC, face};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Shape};
use crate::step::Start;

use super::parsed;

static OPTIONS: Shape = Shape::new(
    "ReplayOptions",
    &[
        Field::new("pattern", Kind::Name, "\"*\"", "of the names of the events that are told"),
        Field::new("callback", Kind::Function, "", "`function(event)`, called instead of emitting"),
        Field::new("limit", Kind::Int(0, 1 << 50), "", "the first so many"),
        Field::new(
            "speed",
            Kind::Number(1e-6, 1e9),
            "",
            "1 = with the pauses there were, 2 = twice as fast; unless told as fast as can be",
        ),
        Field::new("timeout_ms", Kind::Number(0.0, 1e13), "0", "the whole replay; 0 = no limit"),
        ASYNC,
    ],
    &[],
);

pub const REPLAY: Function = Function {
    name: "replay",
    params: &[
        Param::new("recorder", Kind::Id("a recorder")),
        Param::new("options", Kind::Table(&OPTIONS)).optional(),
    ],
    returns: &[("ok", "true"), ("count", "integer")],
    doc: "Emits what a recorder has, or what is in a file, again and in order: with the ids and times there were, and with \
          `replayed = true`. Such events are not recorded. A name that no recorder of this instance has is looked for in the \
          store, then as a file. What happens meanwhile is not part of it. A file is read piece by piece; a last line \
          that a killed process left half written is passed over, any other that is no event is `parse_failed`, with its \
          number as `details.line`. An error of the callback ends the replay. Waits.",
    errors: &[
        Code::NotFound,
        Code::IoError,
        Code::ParseFailed,
        Code::Unsupported,
        Code::InvalidState,
        Code::CallbackError,
        Code::Timeout,
        Code::Cancelled,
    ],
    effect: Effect::Outside,
    example: "local path = os.tmpname()\nlocal recorder = zigllms.event.record(\"order.*\", { file = path })\n\
              zigllms.event.emit(\"order.paid\", { total = 12 })\nzigllms.event.unsubscribe(recorder)\n\
              local ok, count = zigllms.event.replay(path, {\n  \
              callback = function(event) print(event.type, event.data.total) end,\n})\n\
              assert(ok and count == 1)\nos.remove(path)",
    run: Run::Waits(replay),
};

fn replay(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let options = args.options(1, &OPTIONS);
    let pattern =
        options.text("pattern").map(|text| parsed(&text, "options.pattern")).transpose()?;
    let timeout = options.number("timeout_ms").filter(|ms| *ms > 0.0);
    let what = args.id(0);
    let operation = Replay::operation(Replaying {
        path: recorder::absolute(&what, "argument #1: recorder")?,
        what,
        criteria: Criteria::of(pattern),
        callback: options.function("callback"),
        limit: options.int("limit").map_or(u64::MAX, |n| n as u64),
        speed: options.number("speed"),
        deadline: timeout.map(|ms| runtime.clock.now().after_float_ms(ms)),
    });
    Ok(Start { operation, face: face(&options), sink: None })
}
