//! What `hooks.lua`, `attend.lua` and `fire.lua` ask of the core: which hooks there are, and what
//! becomes of their calls.

use crate::error::{Code, Error, Result};
use crate::event::Builtin;
use crate::hook::{Taken, operation};
use crate::shape::Kind;
use crate::value::{Data, Failure, Record};

use super::args::Args;
use super::attend::{MACHINE, gone, token, with};
use super::bridge::{Param, Read};
use super::drive::ms;
use super::inner::Inner;
use super::instance::Instance;

const NUMBER: Param = Param::new("number", Kind::Number(0.0, 1e15));
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
];

fn number(args: &Args<'_>) -> u64 {
    args.number(0) as u64
}

/// hooked_names() → names of what has hooks now
fn hooked_names(instance: &mut Instance, _: &Args<'_>) -> Result<Data> {
    Ok(Data::List(instance.runtime.hooks.hooked().map(Data::from).collect()))
}

fn numbers(list: &[u64]) -> Data {
    Data::List(list.iter().map(|number| Data::from(*number)).collect())
}

/// hook_plan(machine) → hooks before the first run, PRE, AROUND, POST and ERROR hooks of the
/// operation; nothing if it has none. What goes on after a pause has had its first two.
fn plan(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let runtime = &mut instance.runtime;
    let running = runtime.tasks.get_mut(token(args)).ok_or_else(gone)?;
    let (name, parent) = (running.name, running.parent);
    let (plan, resumes) = with(runtime, token(args), |runtime, machine| {
        let mut hooks = std::mem::take(&mut runtime.hooks);
        let plan = hooks.plan(name, || runtime.about(parent, machine.as_ref()));
        runtime.hooks = hooks;
        Ok((plan, machine.resumes()))
    })?;
    if plan.is_empty() {
        return Ok(Data::Nil);
    }
    let none = Vec::new();
    let (init, pre) = if resumes { (&none, &none) } else { (&plan.init, &plan.pre) };
    let lists = [init, pre, &plan.around, &plan.post, &plan.error];
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
    let hook = instance.runtime.hooks.all().get(number(args));
    let name = hook.map(|hook| hook.name.as_str()).filter(|name| !name.is_empty());
    Ok(name.map_or(Data::Nil, Data::from))
}

/// hook_type(number) → its type; nil if it has gone
fn hook_type(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let hook = instance.runtime.hooks.all().get(number(args));
    Ok(hook.map_or(Data::Nil, |hook| Data::from(hook.kind.name())))
}

/// enter_hook(number) → the function, the context it gets, when it began, its limit, its name,
/// whether it has been taken out; nothing if it is not to be called any more
fn enter(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let number = number(args);
    let runtime = &mut instance.runtime;
    let now = runtime.clock.unix();
    if let Some(hook) = runtime.hooks.all().get(number).filter(|hook| hook.enabled) {
        let calls = hook.stats.calls.get();
        runtime.coverage.note(|count| count.fires(number, calls));
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
    let took = ms(instance.runtime.clock.now()) - args.number(1);
    if let Some(hook) = instance.runtime.hooks.all().get(number(args)) {
        hook.stats.ended(took, args.text(2));
    }
    Ok(Data::from(took))
}

/// hook_failed(number, point, error) → whether there is an event to tell
fn failed(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let runtime = &mut instance.runtime;
    if runtime.events.wants(Builtin::HookFailed) {
        let data = Record::new()
            .set("hook_id", runtime.hooks.all().id(number(args)))
            .set("point", args.text(1).map_or(Data::Nil, Data::from));
        let itself =
            Error::new(Code::HookError, "a hook failed").with(|f| f.rethrow = args.slot(2));
        let failure = Failure { error: itself, function: "" };
        runtime.events.tell(Builtin::HookFailed, data, Some(failure));
    }
    Ok(Data::Bool(runtime.has_to_tell()))
}
