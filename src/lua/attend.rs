//! What `attend.lua` asks of the core: an operation as its hooks see it.

use crate::error::{Cause, Code, Error, Result};
use crate::shape::Kind;
use crate::step::{Given, Machine, Output, Token};
use crate::telling::function_of;
use crate::value::{Data, Failure};

use super::args::Args;
use super::bridge::{Param, Read};
use super::inner::Inner;
use super::instance::Instance;

const MACHINE: Param = Param::new("machine", Kind::Number(0.0, 1e15));
const VALUE: Param = Param::new("value", Kind::Any).optional().read(Read::Whole);
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
    Inner { name: "failure", params: &[MACHINE], run: failure },
    Inner {
        name: "give_failure",
        params: &[
            MACHINE,
            Param::new("code", Kind::Text),
            Param::new("message", Kind::Text),
            Param::new("cause", Kind::Any).optional().read(Read::Reference),
        ],
        run: give_failure,
    },
];

fn token(args: &Args<'_>) -> Token {
    args.get(0).and_then(|value| value.as_f64()).unwrap_or_default() as Token
}

fn gone() -> Error {
    Error::internal("the operation is gone")
}

/// With the machine taken out meanwhile.
fn with<T>(
    instance: &mut Instance,
    token: Token,
    run: impl FnOnce(&mut Instance, &mut Box<dyn Machine>) -> Result<T>,
) -> Result<T> {
    let running = instance.runtime.tasks.get_mut(token).ok_or_else(gone)?;
    let mut machine = running.machine.take().ok_or_else(gone)?;
    let result = run(instance, &mut machine);
    if let Some(running) = instance.runtime.tasks.get_mut(token) {
        running.machine = Some(machine);
    }
    result
}

/// hold(machine): what it ends with stays until `release`.
fn hold(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    instance.runtime.tasks.get_mut(token(args)).ok_or_else(gone)?.attended = true;
    Ok(Data::Nil)
}

/// about(machine) → ids and names of what it is about, its input
fn about(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let running = instance.runtime.tasks.get_mut(token(args)).ok_or_else(gone)?;
    let parent = running.parent;
    with(instance, token(args), |instance, machine| {
        let about = instance.runtime.about(parent, machine.as_ref());
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
    with(instance, token(args), |instance, machine| {
        machine.replace_input(&mut instance.runtime, &given).map(|()| Data::Nil)
    })
}

/// output(machine) → what it ended with; nil if it failed or has not ended
fn output(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let running = instance.runtime.tasks.get_mut(token(args)).ok_or_else(gone)?;
    Ok(match &running.output {
        Some(Ok(output)) => output.to_data(),
        _ => Data::Nil,
    })
}

/// give_output(machine, value, is_table?): in place of its result, or of its failure
fn give_output(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let is_table = args.get(2).and_then(|value| value.as_bool()) == Some(true);
    let (given, token) = (Given { is_table, ..given(args) }, token(args));
    let running = instance.runtime.tasks.get_mut(token).ok_or_else(gone)?;
    let own = running.output.as_ref().and_then(|output| output.as_ref().ok()).map(Output::copy);
    let output = with(instance, token, |instance, machine| {
        machine.replace_output(&mut instance.runtime, &given, own)
    })?;
    let running = instance.runtime.tasks.get_mut(token).ok_or_else(gone)?;
    running.output = Some(Ok(output));
    Ok(Data::Nil)
}

/// failure(machine) → the error it failed with; nil if it did not
fn failure(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let running = instance.runtime.tasks.get_mut(token(args)).ok_or_else(gone)?;
    let function = function_of(running.name);
    Ok(match &running.output {
        Some(Err(error)) => Data::Error(Box::new(Failure { error: error.clone(), function })),
        _ => Data::Nil,
    })
}

/// give_failure(machine, code, message, cause?): it fails with that
fn give_failure(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let code = args.text(1).and_then(Code::parse).unwrap_or(Code::Internal);
    let cause = args.slot(3).map(Cause::Raised);
    let error = Error::new(code, args.text(2).unwrap_or_default()).with(|f| f.cause = cause);
    let running = instance.runtime.tasks.get_mut(token(args)).ok_or_else(gone)?;
    running.output = Some(Err(error));
    Ok(Data::Nil)
}
