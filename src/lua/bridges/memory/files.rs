//! Memory written to where it outlives the process, and read back.

use crate::error::Result;
use crate::lua::args::Args;
use crate::lua::faces::{ASYNC, DETACH, face};
use crate::memory::{Extent, Kind as Type, Load, Persist, Scope, absolute};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::step::Start;

/// What conversations are called among the types.
const CONVERSATION: &str = "conversation";

static EXTENT: Shape = Shape::new(
    "MemoryExtent",
    &[
        Field::new(
            "types",
            Kind::List(&Kind::Enum(&["short_term", "long_term", "persistent", CONVERSATION])),
            "all",
            "entries of these types only; \"conversation\": conversations of agents",
        ),
        Field::new(
            "scope",
            Kind::Enum(&["global", "agent", "session", "all"]),
            "\"all\"",
            "entries of this scope only; conversations are of \"agent\"",
        ),
        ASYNC,
        DETACH,
    ],
    &[],
);

pub static PERSIST: Shape = Shape::new("PersistOptions", &[], &[&EXTENT]);

pub static LOAD: Shape = Shape::new(
    "LoadOptions",
    &[Field::new(
        "replace",
        Kind::Bool,
        "false",
        "true: what is there and is not loaded goes; else what is loaded goes over it",
    )],
    &[&EXTENT],
);

fn extent(options: &Options<'_>) -> Extent {
    let words = |list: crate::value::Ref<'_>| list.items().map(|word| word.to_text()).collect();
    let types: Option<Vec<String>> = options.get("types").map(words);
    let named = |name: &str| {
        types.as_ref().is_none_or(|types| types.iter().any(|t| t.eq_ignore_ascii_case(name)))
    };
    let scope = options.word("scope").and_then(Scope::parse);
    let kinds = Type::ALL.into_iter().filter(|kind| named(kind.name())).collect();
    Extent {
        kinds: types.as_ref().map(|_| kinds),
        scope,
        talks: named(CONVERSATION) && scope.is_none_or(|scope| scope == Scope::Agent),
    }
}

pub fn persist(_: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let options = args.options(1, &PERSIST);
    let path = args.text(0).map(absolute).transpose()?;
    let operation = Persist::operation(extent(&options), path);
    Ok(Start { operation, face: face(&options), sink: None })
}

pub fn load(_: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let options = args.options(1, &LOAD);
    let path = args.text(0).map(absolute).transpose()?;
    let replace = options.bool("replace") == Some(true);
    let operation = Load::operation(extent(&options), replace, path);
    Ok(Start { operation, face: face(&options), sink: None })
}
