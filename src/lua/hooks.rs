//! What `hooks.lua` and `attend.lua` ask of the core.

use crate::error::{Code, Error, Phase, Result};
use crate::event::Builtin;
use crate::hook::{Hook, Taken, Type, check, is_point, operation};
use crate::shape::{Kind, id_of};
use crate::step::Token;
use crate::value::{Data, Failure, Record};

use super::args::Args;
use super::bridge::{Param, Read};
use super::bridges::hook::{COMPOSE, COMPOSED, MODES, priority_of};
use super::drive::ms;
use super::inner::Inner;
use super::instance::Instance;

const MACHINE: Param = Param::new("machine", Kind::Number(0.0, 1e15));
const NUMBER: Param = Param::new("number", Kind::Number(0.0, 1e15));
const PRIORITY: Param = Param::new("priority", Kind::Number(f64::NEG_INFINITY, f64::INFINITY));
const TEXT: Param = Param::new("text", Kind::Text);
const VALUE: Param = Param::new("value", Kind::Any).optional().read(Read::Reference);

pub static INNER: &[Inner] = &[
    Inner { name: "hooked_names", params: &[], run: hooked_names },
    Inner { name: "hook_plan", params: &[MACHINE], run: plan },
    Inner { name: "named_hooks", params: &[TEXT, Param::new("about", Kind::Map)], run: named },
    Inner { name: "find_hook", params: &[TEXT], run: find },
    Inner { name: "points_of", params: &[TEXT], run: points_of },
    Inner { name: "hook_name", params: &[NUMBER], run: hook_name },
    Inner { name: "hook_type", params: &[NUMBER], run: hook_type },
    Inner { name: "enter_hook", params: &[NUMBER], run: enter },
    Inner { name: "leave_hook", params: &[NUMBER, NUMBER, TEXT.optional()], run: leave },
    Inner { name: "hook_failed", params: &[NUMBER, TEXT, VALUE], run: failed },
    Inner { name: "give_timeout", params: &[MACHINE, TEXT], run: give_timeout },
    Inner { name: "give_raised", params: &[MACHINE, TEXT, TEXT, VALUE], run: give_raised },
    Inner { name: "parts_of", params: COMPOSED, run: parts_of },
    Inner { name: "add_hook", params: &[TEXT, TEXT, PRIORITY, VALUE], run: add },
];

fn number(args: &Args<'_>, at: usize) -> u64 {
    args.get(at).and_then(|value| value.as_f64()).unwrap_or_default() as u64
}

/// hooked_names() → names of what has hooks now
fn hooked_names(instance: &mut Instance, _: &Args<'_>) -> Result<Data> {
    Ok(Data::List(instance.runtime.hooks.hooked().map(Data::from).collect()))
}

fn numbers(list: &[u64]) -> Data {
    Data::List(list.iter().map(|number| Data::from(*number)).collect())
}

/// hook_plan(machine) → hooks before the first run, PRE, AROUND, POST and ERROR hooks of the operation;
/// nothing if it has none
fn plan(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let runtime = &mut instance.runtime;
    let gone = || Error::internal("the operation is gone");
    let running = runtime.tasks.get_mut(number(args, 0) as Token).ok_or_else(gone)?;
    let (name, parent) = (running.name, running.parent);
    let machine = running.machine.take().ok_or_else(gone)?;
    let mut hooks = std::mem::take(&mut runtime.hooks);
    let plan = hooks.plan(name, || runtime.about(parent, machine.as_ref()));
    runtime.hooks = hooks;
    if let Some(running) = runtime.tasks.get_mut(number(args, 0) as Token) {
        running.machine = Some(machine);
    }
    if plan.is_empty() {
        return Ok(Data::Nil);
    }
    let lists = [&plan.init, &plan.pre, &plan.around, &plan.post, &plan.error];
    Ok(Data::Many(lists.into_iter().map(|list| numbers(list)).collect()))
}

/// named_hooks(name, ids) → those that a name stands for
fn named(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let mut about = Record::new();
    for (key, value) in args.get(1).into_iter().flat_map(|ids| ids.members()) {
        about.put(key.to_text(), value.to_text());
    }
    Ok(numbers(&instance.runtime.hooks.named(args.text(0).unwrap_or_default(), &about)))
}

/// find_hook(id or name) → the number of the hook; nil if there is none, or none by that id
fn find(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let found = instance.runtime.hooks.all().find(args.text(0).unwrap_or_default())?;
    Ok(Data::from(found))
}

/// points_of(operation) → its name, and its points by type
fn points_of(_: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let Some(operation) = args.text(0).and_then(operation) else { return Ok(Data::Nil) };
    let points = Record::new()
        .set("name", operation.name)
        .set("init", operation.init)
        .set("pre", operation.pre)
        .set("post", operation.post)
        .set("error", operation.error);
    Ok(points.into())
}

/// hook_name(number) → the name it is registered for; nil if it has none, or has gone
fn hook_name(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let hook = instance.runtime.hooks.all().get(number(args, 0));
    let name = hook.map(|hook| hook.name.as_str()).filter(|name| !name.is_empty());
    Ok(name.map_or(Data::Nil, Data::from))
}

/// hook_type(number) → its type; nil if it has gone
fn hook_type(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let hook = instance.runtime.hooks.all().get(number(args, 0));
    Ok(hook.map_or(Data::Nil, |hook| Data::from(hook.kind.name())))
}

/// enter_hook(number) → the function, the context it gets, when it began, its limit, its name,
/// whether it has been taken out; nothing if it is not to be called any more
fn enter(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let number = number(args, 0);
    let runtime = &mut instance.runtime;
    let now = runtime.clock.unix();
    if let Some(hook) = runtime.hooks.all().get(number).filter(|hook| hook.enabled) {
        hook.stats.begun(now);
    }
    let id = runtime.hooks.all().id(number);
    let Some((taken, once)) = runtime.hooks.take(number) else { return Ok(Data::Nil) };
    let began = ms(runtime.clock.now());
    Ok(Data::Many(vec![
        Data::Slot(taken.callback.clone()),
        context(&taken, &id, now).into(),
        Data::from(began),
        Data::from(taken.timeout_ms.filter(|limit| *limit > 0.0)),
        Data::from(id),
        Data::Bool(once),
    ]))
}

fn context(taken: &Taken, id: &str, now: f64) -> Record {
    let name = Some(taken.name.as_str()).filter(|name| !name.is_empty());
    Record::new()
        .set("hook", name.map_or(Data::Nil, Data::from))
        .set("type", taken.kind.name())
        .set("hook_id", id)
        .set("timestamp", now)
        .set("metadata", taken.metadata.clone().map_or(Data::Nil, Data::Json))
}

/// leave_hook(number, began, error?) → how long it took
fn leave(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let began = args.get(1).and_then(|value| value.as_f64()).unwrap_or_default();
    let took = ms(instance.runtime.clock.now()) - began;
    if let Some(hook) = instance.runtime.hooks.all().get(number(args, 0)) {
        hook.stats.ended(took, args.text(2));
    }
    Ok(Data::from(took))
}

/// hook_failed(number, point, error) → whether there is an event to tell
fn failed(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let runtime = &mut instance.runtime;
    if runtime.events.wants(Builtin::HookFailed) {
        let data = Record::new()
            .set("hook_id", runtime.hooks.all().id(number(args, 0)))
            .set("point", args.text(1).map_or(Data::Nil, Data::from));
        let itself =
            Error::new(Code::HookError, "a hook failed").with(|f| f.rethrow = args.slot(2));
        let failure = Failure { error: itself, function: "" };
        runtime.events.tell(Builtin::HookFailed, data, Some(failure));
    }
    Ok(Data::Bool(runtime.events.has_told()))
}

fn give(instance: &mut Instance, args: &Args<'_>, error: Error) -> Result<Data> {
    let running = instance.runtime.tasks.get_mut(number(args, 0) as Token);
    let running = running.ok_or_else(|| Error::internal("the operation is gone"))?;
    running.output = Some(Err(error));
    Ok(Data::Nil)
}

/// give_timeout(machine, message): it fails because a hook took too long
fn give_timeout(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let error = Error::timeout(Phase::Total, args.text(1).unwrap_or_default());
    give(instance, args, error)
}

/// give_raised(machine, code, message, error): it fails with that very error object
fn give_raised(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let code = args.text(1).and_then(Code::parse).unwrap_or(Code::Internal);
    let error = Error::new(code, args.text(2).unwrap_or_default());
    give(instance, args, error.with(|f| f.rethrow = args.slot(3)))
}

/// parts_of(hook_ids, how?) → name, type, priority and mode of the composed hook, and a list of
/// functions
fn parts_of(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let hooks = instance.runtime.hooks.all();
    let how = how(args);
    let mut kinds = Vec::new();
    let mut functions = Vec::new();
    for id in args.get(0).into_iter().flat_map(|ids| ids.items()).filter_map(id_of) {
        let number = hooks.require(&id)?;
        let hook = hooks.get(number).ok_or_else(|| Error::not_found("hook", &id))?;
        kinds.push(hook.kind);
        functions.push(Data::Slot(hook.callback.clone()));
    }
    let Some(first) = kinds.first() else {
        return Err(Error::invalid("hook_ids: expected at least one hook"));
    };
    let alike = kinds.iter().all(|kind| kind == first);
    let kind = how.kind.unwrap_or(if alike { *first } else { Type::Post });
    check(&how.name, kind)?;
    if kind == Type::Around && how.mode == "parallel" {
        return Err(Error::invalid("hooks of type \"around\" cannot run in parallel"));
    }
    Ok(Data::Many(vec![
        Data::from(how.name),
        Data::from(kind.name()),
        Data::from(how.priority),
        Data::from(how.mode),
        Data::List(functions),
    ]))
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
        priority: args.get(2).and_then(|value| value.as_f64()).unwrap_or_default(),
        created_at: runtime.clock.unix(),
        ..Hook::new(args.text(0).unwrap_or_default(), kind, callback)
    });
    Ok(Data::from(runtime.hooks.all().id(number)))
}
