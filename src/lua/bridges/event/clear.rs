//! Recorded events are forgotten.

use crate::error::{Code, Result};
use crate::event::recorder::{Clear, Widened};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::lua::faces::{ASYNC, face};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Shape};
use crate::step::Ready;

use super::parsed;

static OPTIONS: Shape = Shape::new(
    "EventClearOptions",
    &[
        Field::new("recorder", Kind::Id("a recorder"), "all of this instance", "what this one has"),
        Field::new("subscriptions", Kind::Bool, "false", "subscriptions end, too"),
        Field::new("filters", Kind::Bool, "false", "filters go, too"),
        Field::new("recorders", Kind::Bool, "false", "recorders stop and go, with all they have"),
        ASYNC,
    ],
    &[],
);

const WIDER: Kind = Kind::OneOf(&[Kind::Enum(&["all"]), Kind::Table(&OPTIONS)]);

pub const CLEAR: Function = Function {
    name: "clear",
    params: &[
        Param::new("pattern", Kind::Name).optional(),
        Param::new("options", WIDER).optional(),
    ],
    returns: &[("ok", "true"), ("count", "integer")],
    doc: "Forgets recorded events whose names match, all unless told, in the store as well; files stay as they are. A \
          recorder that has stopped and has nothing left goes. Options widen it, \"all\" to everything they name: to those \
          whose own pattern is the one given, or is covered by it. Returns how many events and other things went. With \
          a store it waits.",
    errors: &[Code::NotFound, Code::IoError, Code::InvalidState, Code::Cancelled],
    effect: Effect::Writes("subs"),
    example: "zigllms.event.record(\"cart.*\")\nzigllms.event.emit(\"cart.filled\", { total = 12 })\n\
              local ok, count = zigllms.event.clear(\"cart.*\")\nassert(ok and count >= 1)",
    run: Run::Perhaps(None, clear),
};

fn clear(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let options = args.options(1, &OPTIONS);
    let all = args.text(1).is_some();
    let wide = |name: &str| all || options.bool(name) == Some(true);
    let pattern = args.text(0).map(|text| parsed(text, "argument #1: pattern")).transpose()?;
    let recorder = options.id("recorder");
    let widened = Widened {
        subscriptions: wide("subscriptions"),
        filters: wide("filters"),
        recorders: wide("recorders"),
    };
    Clear::ready(runtime, recorder.as_deref(), pattern, widened, face(&options))
}
