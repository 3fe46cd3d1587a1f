//! `event.bridge`: events across processes.

use crate::error::{Code, Error, Result, quoted};
use crate::event::{Opening, Pattern, Plan};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::lua::faces::{ASYNC, face};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::step::Start;
use crate::store::{Direction, Place, Terms, Url, is_position};
use crate::value::Ref;

use super::parsed;

/// The names of a stream and of a group are parts of the names of keys.
const LONGEST: usize = 512;

static OPTIONS: Shape = Shape::new(
    "BridgeOptions",
    &[
        Field::new(
            "patterns",
            Kind::OneOf(&[Kind::Name, Kind::List(&Kind::Name)]),
            "required",
            "names of the events that are meant, in both directions: \"workflow.*\", or an array of such",
        ),
        Field::new(
            "stream",
            Kind::Name,
            "required",
            "name of the stream: processes that name the same one hear of each other",
        ),
        Field::new(
            "group",
            Kind::Name,
            "",
            "its members share the events: each goes to one of them. Without a group everybody gets each",
        ),
        Field::new(
            "direction",
            Kind::Enum(&["both", "in", "out"]),
            "\"both\"",
            "\"out\" only publishes, \"in\" only delivers",
        ),
        Field::new(
            "since",
            Kind::Name,
            "now",
            "delivers what came after that position: \"0\" = all that the stream still has, or the `position` of an \
             event; for a group it counts when the group is made",
        ),
        Field::new(
            "max_len",
            Kind::Int(0, 1_000_000_000_000),
            "100000",
            "the stream keeps so many events, about, and forgets older ones, delivered or not; 0 = all",
        ),
        Field::new(
            "claim_ms",
            Kind::Int(50, 86_400_000),
            "30000",
            "a member of a group that has not been heard of for so long is dead: others get what it had not finished",
        ),
        Field::new(
            "prefetch",
            Kind::Int(1, 1000),
            "1",
            "a member of a group is given so many events at once; others get the rest. More is faster where handlers \
             are quick",
        ),
        ASYNC,
    ],
    &[],
);

pub const FUNCTION: Function = Function {
    name: "bridge",
    params: &[Param::new("options", Kind::Table(&OPTIONS))],
    returns: &[("bridge_id", "string")],
    doc: "Shares events with other processes and machines, through a stream of the Redis store: those that match are \
          published, and those that others published are delivered here, with `remote=true`, their `origin` and `position`, and otherwise as they were. \
          Nobody gets its own events back, and what came from elsewhere is not published again. Each event is delivered \
          at least once; one that comes twice has the same origin and id. Data must be plain data. `unsubscribe(bridge_id)` ends \
          it, `zigllms.flush()` waits until everything has left. See doc/redis.md. Waits until the server has answered.",
    errors: &[Code::Unsupported, Code::IoError, Code::Cancelled],
    effect: Effect::Outside,
    example: "-- zigllms.configure{ store = \"redis://localhost\" } comes first\n\
              local id, err = zigllms.safe.event.bridge{ patterns = \"job.*\", stream = \"jobs\" }\n\
              print(id or err.message)",
    run: Run::Waits(bridge),
};

fn bridge(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let options = args.options(0, &OPTIONS);
    let (patterns, terms) = (patterns(&options)?, terms(&options)?);
    let plan = Plan { patterns, server: server(runtime)?, terms };
    let operation = Opening::operation(runtime, plan)?;
    Ok(Start { operation, face: face(&options), sink: None })
}

fn server(runtime: &Runtime) -> Result<Url> {
    match runtime.store.place() {
        Place::Redis(url) => Ok(url.clone()),
        other => Err(Error::unsupported(format!(
            "events are shared through a Redis store, and the store is \"{other}\": \
             configure{{store=\"redis://…\"}}{}",
            if cfg!(feature = "redis") {
                ""
            } else {
                ", in a build with the cargo feature \"redis\""
            }
        ))),
    }
}

fn patterns(options: &Options<'_>) -> Result<Vec<Pattern>> {
    let given =
        options.get("patterns").ok_or_else(|| missing("patterns", "a pattern or an array"))?;
    if given.as_str().is_some() {
        return Ok(vec![pattern(given, "options.patterns")?]);
    }
    let each = given.items().enumerate();
    let each = each.map(|(i, item)| pattern(item, &format!("options.patterns[{}]", i + 1)));
    let patterns = each.collect::<Result<Vec<_>>>()?;
    if patterns.is_empty() {
        return Err(Error::invalid("options.patterns: expected at least one pattern, got none"));
    }
    Ok(patterns)
}

fn pattern(given: Ref<'_>, path: &str) -> Result<Pattern> {
    parsed(given.as_str().unwrap_or_default(), path)
}

fn missing(name: &str, expected: &str) -> Error {
    Error::invalid(format!("options.{name}: expected {expected}, got nil"))
}

fn terms(options: &Options<'_>) -> Result<Terms> {
    let stream = name(options, "stream")?.ok_or_else(|| missing("stream", "a non-empty string"))?;
    Ok(Terms {
        stream,
        group: name(options, "group")?,
        since: since(options)?,
        direction: match options.word("direction") {
            Some("in") => Direction::In,
            Some("out") => Direction::Out,
            _ => Direction::Both,
        },
        max_len: options.int("max_len").map_or(100_000, |n| n as u64),
        claim_ms: options.int("claim_ms").map_or(30_000, |n| n as u64),
        prefetch: options.int("prefetch").map_or(1, |n| n as usize),
        origin: String::new(),
        member: String::new(),
        again: false,
    })
}

fn name(options: &Options<'_>, key: &str) -> Result<Option<String>> {
    let name = options.text(key);
    match name.as_ref().map(String::len) {
        Some(length) if length > LONGEST => Err(Error::invalid(format!(
            "options.{key}: expected at most {LONGEST} bytes, got {length}"
        ))),
        _ => Ok(name),
    }
}

fn since(options: &Options<'_>) -> Result<Option<String>> {
    let Some(since) = options.text("since") else { return Ok(None) };
    if since == "$" {
        return Ok(None);
    }
    let expected = "expected \"0\" or a position such as \"1700000000000-0\"";
    let wrong = || Error::invalid(format!("options.since: {expected}, got {}", quoted(&since)));
    is_position(&since).then(|| since.clone()).ok_or_else(wrong).map(Some)
}
