//! What `attend.lua` asks of the core: an operation as its hooks see it; for `cleanup.lua` an agent.

use crate::error::{Cause, Code, Error, Phase, Result};
use crate::runtime::Runtime;
use crate::shape::Kind;
use crate::step::{Given, Machine, Output, Token};
use crate::tasks::Running;
use crate::telling::function_of;
use crate::value::{Data, Failure};

use super::args::Args;
use super::bridge::{Param, Read};
use super::inner::Inner;
use super::instance::Instance;

pub const MACHINE: Param = Param::new("machine", Kind::Number(0.0, 1e15));
const VALUE: Param = Param::new("value", Kind::Any).optional().read(Read::Whole);
const CODE: Param = Param::new("code", Kind::Text);
const MESSAGE: Param = Param::new("message", Kind::Text);
const CAUSE: Param = Param::new("cause", Kind::Any).optional().read(Read::Reference);
const IS_TABLE: Param = Param::new("is_table", Kind::Bool).optional();

pub static INNER: &[Inner] = &[
    Inner { name: "hold", params: &[MACHINE], run: hold },
    Inner { name: "about", params: &[MACHINE], run: about },
    Inner { name: "give_input", params: &[MACHINE, VALUE], run: give_input },
    Inner { name: "output", params: &[MACHINE], run: output },
    Inner { name: "give_output", params: &[MACHINE, VALUE, IS_TABLE], run: give_output },
    Inner {
        name: "agent_about",
        params: &[Param::new("agent_id", Kind::Any).optional()],
        run: agent_about,
    },
    Inner { name: "pauses", params: &[MACHINE], run: pauses },
    Inner { name: "failure", params: &[MACHINE], run: failure },
    Inner { name: "give_failure", params: &[MACHINE, CODE, MESSAGE, CAUSE], run: give_failure },
    Inner { name: "give_timeout", params: &[MACHINE, MESSAGE], run: give_timeout },
    Inner { name: "give_raised", params: &[MACHINE, CODE, MESSAGE, CAUSE], run: give_raised },
];

pub fn token(args: &Args<'_>) -> Token {
    args.number(0) as Token
}

pub fn gone() -> Error {
    Error::internal("the operation is gone")
}

fn running(instance: &mut Instance, token: Token) -> Result<&mut Running> {
    instance.runtime.tasks.get_mut(token).ok_or_else(gone)
}

/// With the machine taken out meanwhile.
pub fn with<T>(
    runtime: &mut Runtime,
    token: Token,
    run: impl FnOnce(&mut Runtime, &mut Box<dyn Machine>) -> Result<T>,
) -> Result<T> {
    let running = runtime.tasks.get_mut(token).ok_or_else(gone)?;
    let mut machine = running.machine.take().ok_or_else(gone)?;
    let result = run(runtime, &mut machine);
    if let Some(running) = runtime.tasks.get_mut(token) {
        running.machine = Some(machine);
    }
    result
}

/// hold(machine): what it ends with stays until `release`.
fn hold(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    running(instance, token(args))?.attended = true;
    Ok(Data::Nil)
}

/// about(machine) → ids and names of what it is about, its input
fn about(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let parent = running(instance, token(args))?.parent;
    with(&mut instance.runtime, token(args), |runtime, machine| {
        let about = runtime.about(parent, machine.as_ref());
        Ok(Data::Many(vec![about.into(), machine.input()]))
    })
}

/// agent_about(id) → ids and names of an agent, all about it; nothing if there is none
fn agent_about(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let about = super::bridges::agent_about(&instance.runtime, &args.id(0));
    Ok(about.map_or(Data::Nil, |(about, info)| Data::Many(vec![about.into(), info])))
}

fn given<'t>(args: &Args<'t>) -> Given<'t> {
    Given::new(args.get(1), args.given(1), args.require_data(1).err())
}

/// give_input(machine, value): before it starts
fn give_input(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let given = given(args);
    with(&mut instance.runtime, token(args), |runtime, machine| {
        machine.replace_input(runtime, &given).map(|()| Data::Nil)
    })
}

/// output(machine) → what it ended with; nil if it failed or has not ended
fn output(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    Ok(match &running(instance, token(args))?.output {
        Some(Ok(output)) => output.to_data(),
        _ => Data::Nil,
    })
}

/// pauses(machine) → whether it has stopped before its real end
fn pauses(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let machine = running(instance, token(args))?.machine.as_ref();
    Ok(Data::Bool(machine.is_some_and(|machine| machine.pauses())))
}

/// give_output(machine, value, is_table?): in place of its result, or of its failure
fn give_output(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let is_table = args.get(2).and_then(|value| value.as_bool()) == Some(true);
    let (given, token) = (Given { is_table, ..given(args) }, token(args));
    let own = running(instance, token)?.output.as_ref();
    let own = own.and_then(|output| output.as_ref().ok()).map(Output::copy);
    let output = with(&mut instance.runtime, token, |runtime, machine| {
        machine.replace_output(runtime, &given, own)
    })?;
    running(instance, token)?.output = Some(Ok(output));
    Ok(Data::Nil)
}

/// failure(machine) → the error it failed with; nil if it did not
fn failure(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let running = running(instance, token(args))?;
    let function = function_of(running.name);
    Ok(match &running.output {
        Some(Err(error)) => Data::Error(Box::new(Failure { error: error.clone(), function })),
        _ => Data::Nil,
    })
}

/// give_failure(machine, code, message, cause?): it fails with that
fn give_failure(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let cause = args.slot(3).map(Cause::Raised);
    fail(instance, args, said(args).with(|f| f.cause = cause))
}

/// give_timeout(machine, message): it fails because a hook took too long
fn give_timeout(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let error = Error::timeout(Phase::Total, args.text(1).unwrap_or_default());
    fail(instance, args, error)
}

/// give_raised(machine, code, message, error): it fails with that very error object
fn give_raised(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let itself = args.slot(3);
    fail(instance, args, said(args).with(|f| f.rethrow = itself))
}

/// By its code and message.
fn said(args: &Args<'_>) -> Error {
    let code = args.text(1).and_then(Code::parse).unwrap_or(Code::Internal);
    Error::new(code, args.text(2).unwrap_or_default())
}

fn fail(instance: &mut Instance, args: &Args<'_>, error: Error) -> Result<Data> {
    running(instance, token(args))?.output = Some(Err(error));
    Ok(Data::Nil)
}
