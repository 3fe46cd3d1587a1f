//! What options of memory say: whose entry, of what kind, for how long.

use crate::error::{Error, Result};
use crate::lua::args::Args;
use crate::lua::faces::{ASYNC, DETACH};
use crate::memory::{Address, Entry, Extra, Kind as Type, Scope, Value};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::store::UnixMs;
use crate::value::Ref;

/// Longest life of an entry: further off no clock counts exactly.
const FOREVER_MS: f64 = 4e15;

pub const SCOPE: Field =
    Field::new("scope", Kind::Enum(Scope::NAMES), "\"global\"", "who shares the entry");

pub static WHERE: Shape = Shape::new("MemoryScope", &[SCOPE], &[&OWNER]);

/// What goes with a scope.
pub static OWNER: Shape = Shape::new(
    "MemoryOwner",
    &[
        Field::new(
            "agent",
            Kind::Id("an agent"),
            "the agent whose run this is called in",
            "owner of scope \"agent\"; entries of an agent go by its name",
        ),
        Field::new("session", Kind::Name, "`configure{session=}`", "owner of scope \"session\""),
        ASYNC,
        DETACH,
    ],
    &[],
);

/// What a new entry is like.
pub static NEW: Shape = Shape::new(
    "MemoryEntry",
    &[
        Field::new(
            "type",
            Kind::Enum(Type::NAMES),
            "\"short_term\"",
            "\"short_term\": the longest unused go when there are too many; \"long_term\": stays; \"persistent\": in the store",
        ),
        Field::new("ttl_ms", Kind::Number(0.0, FOREVER_MS), "", "life in milliseconds"),
        Field::new("ttl", Kind::Number(0.0, FOREVER_MS / 1e3), "", "life in seconds"),
        Field::new("tags", Kind::List(&Kind::Text), "", "words to find it by"),
        Field::new("metadata", Kind::Any, "", "plain data, kept with it"),
    ],
    &[],
);

/// Whose entries the options mean.
pub fn address(runtime: &Runtime, options: &Options<'_>) -> Result<Address> {
    let said = options.word("scope").and_then(Scope::parse);
    let (agent, session) = (options.get("agent"), options.text("session"));
    let scope = match (said, agent.is_some(), session.is_some()) {
        (Some(Scope::Agent) | None, true, false) => Scope::Agent,
        (Some(Scope::Session) | None, false, true) => Scope::Session,
        (scope, false, false) => scope.unwrap_or_default(),
        _ => return Err(contradiction(said)),
    };
    Ok(Address::new(scope, owner(runtime, scope, agent, session)?))
}

fn contradiction(said: Option<Scope>) -> Error {
    let scope = said.map_or(String::new(), |scope| format!(" with scope {:?}", scope.name()));
    Error::invalid(format!(
        "options: `agent` goes with scope \"agent\" and `session` with scope \"session\", got them{scope}"
    ))
}

fn owner(
    runtime: &Runtime,
    scope: Scope,
    agent: Option<Ref<'_>>,
    session: Option<String>,
) -> Result<String> {
    match scope {
        Scope::Global => Ok(String::new()),
        Scope::Session => Ok(session.unwrap_or_else(|| runtime.session().to_owned())),
        Scope::Agent => match agent.and_then(crate::shape::id_of) {
            Some(key) => agent_owner(runtime, key),
            None => agent_around(runtime),
        },
    }
}

/// Memory may be older than its agent, and may outlive it.
fn agent_owner(runtime: &Runtime, key: String) -> Result<String> {
    let agent = runtime.agents.find(&key)?.and_then(|number| runtime.agents.get(number));
    Ok(agent.map_or(key, |agent| agent.owner().to_owned()))
}

fn agent_around(runtime: &Runtime) -> Result<String> {
    let number = runtime.tasks.agent_around(runtime.tasks.around);
    let agent = number.and_then(|number| runtime.agents.get(number));
    agent.map(|agent| agent.owner().to_owned()).ok_or_else(|| {
        Error::invalid(
            "options.agent: expected the id or name of an agent: this call is in no agent's run",
        )
    })
}

/// The key as bytes: numbers as Lua writes them, whole ones without a point on every engine.
pub fn key(args: &Args<'_>, at: usize) -> Vec<u8> {
    args.get(at).map(key_of).unwrap_or_default()
}

pub fn key_of(value: Ref<'_>) -> Vec<u8> {
    match (value.as_bytes(), value.as_i64(), value.as_f64()) {
        (Some(bytes), ..) => bytes.to_vec(),
        (_, Some(n), _) => n.to_string().into_bytes(),
        // As in a table of Lua, -0.0 is the key 0.
        (_, _, Some(n)) => (n + 0.0).to_string().into_bytes(),
        _ => Vec::new(),
    }
}

/// An entry for a value, as the options want it.
pub fn entry(value: Ref<'_>, options: &Options<'_>, now: UnixMs) -> Entry {
    let kind = options.word("type").and_then(Type::parse).unwrap_or_default();
    let expires_at = life(options).map(|ms| now.saturating_add(ms as UnixMs));
    let extra = extra(options);
    let extra = (extra != Extra::default()).then(|| Box::new(extra));
    Entry { expires_at, extra, ..Entry::new(Value::of(value), kind) }
}

fn life(options: &Options<'_>) -> Option<f64> {
    options.number("ttl_ms").or_else(|| options.number("ttl").map(|seconds| seconds * 1e3))
}

fn extra(options: &Options<'_>) -> Extra {
    let words = |list: Ref<'_>| list.items().map(|item| item.to_text()).collect();
    let floats = |list: Ref<'_>| list.items().filter_map(Ref::as_f64).map(|n| n as f32).collect();
    Extra {
        tags: options.get("tags").map(words).unwrap_or_default(),
        metadata: options.get("metadata").map(Value::of),
        embedding: options.get("embedding").map(floats),
    }
}
