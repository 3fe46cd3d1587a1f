//! What `compose.lua` asks of the core: the hooks that one is made of, and its registration.

use crate::error::{Error, Result};
use crate::hook::{Hook, Type, check, is_point};
use crate::shape::{Kind, id_of};
use crate::value::Data;

use super::args::Args;
use super::bridge::{Param, Read};
use super::bridges::hook::{COMPOSE, COMPOSED, MODES, priority_of};
use super::inner::Inner;
use super::instance::Instance;

pub static INNER: &[Inner] = &[
    Inner { name: "parts_of", params: COMPOSED, run: parts_of },
    Inner {
        name: "add_hook",
        params: &[
            Param::new("name", Kind::Text),
            Param::new("type", Kind::Text),
            Param::new("priority", Kind::Number(f64::NEG_INFINITY, f64::INFINITY)),
            Param::new("callback", Kind::Function).read(Read::Reference),
        ],
        run: add,
    },
];

/// parts_of(hook_ids, how?) → name, type, priority and mode of the composed hook, and a list of
/// functions
fn parts_of(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let hooks = instance.runtime.hooks.all();
    let how = how(args);
    let (mut kinds, mut functions) = (Vec::new(), Vec::new());
    for id in args.get(0).into_iter().flat_map(|ids| ids.items()).filter_map(id_of) {
        let number = hooks.require(&id)?;
        let hook = hooks.get(number).ok_or_else(|| Error::not_found("hook", &id))?;
        kinds.push(hook.kind);
        functions.push(Data::Slot(hook.callback.clone()));
    }
    let kind = kind_of(&how, &kinds)?;
    Ok(Data::Many(vec![
        Data::from(how.name),
        Data::from(kind.name()),
        Data::from(how.priority),
        Data::from(how.mode),
        Data::List(functions),
    ]))
}

/// The type that was asked for, or that all of them have.
fn kind_of(how: &How, kinds: &[Type]) -> Result<Type> {
    let none = || Error::invalid("hook_ids: expected at least one hook");
    let first = *kinds.first().ok_or_else(none)?;
    let alike = kinds.iter().all(|kind| *kind == first);
    let kind = how.kind.unwrap_or(if alike { first } else { Type::Post });
    check(&how.name, kind)?;
    if kind == Type::Around && how.mode == "parallel" {
        return Err(Error::invalid("hooks of type \"around\" cannot run in parallel"));
    }
    Ok(kind)
}

/// The second argument of `hook.compose`.
struct How {
    mode: &'static str,
    name: String,
    kind: Option<Type>,
    priority: f64,
}

fn how(args: &Args<'_>) -> How {
    let options = args.options(1, &COMPOSE);
    let given = args.text(1).and_then(|text| MODES.iter().find(|m| m.eq_ignore_ascii_case(text)));
    let mode = given.copied().or_else(|| options.word("mode")).unwrap_or("sequential");
    let name = options.text("name").unwrap_or_default();
    let kind = options.word("type").and_then(Type::parse);
    let kind = kind.or_else(|| (!name.is_empty()).then(|| own_type(&name)).flatten());
    let priority = options.get("priority").and_then(priority_of).unwrap_or(0.0);
    How { mode, name, kind, priority }
}

/// The only type that a built-in point has, besides AROUND.
fn own_type(name: &str) -> Option<Type> {
    is_point(name).then(|| Type::of(name))
}

/// add_hook(name, type, priority, function) → id
fn add(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let wrong = || Error::internal("a composed hook needs a type and a function");
    let kind = args.text(1).and_then(Type::parse).ok_or_else(wrong)?;
    let callback = args.slot(3).ok_or_else(wrong)?;
    let runtime = &mut instance.runtime;
    let number = runtime.hooks.add(Hook {
        priority: args.number(2),
        created_at: runtime.clock.unix(),
        ..Hook::new(args.text(0).unwrap_or_default(), kind, callback)
    });
    Ok(Data::from(runtime.hooks.all().id(number)))
}
