//! `agent.send`: a word to a run that is under way.

use super::AGENT;
use crate::agent::running;
use crate::chat::{Message, Role, messages};
use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Read, Run};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Shape};
use crate::step::Ready;
use crate::value::Data;

static OPTIONS: Shape = Shape::new(
    "SendOptions",
    &[Field::new(
        "session",
        Kind::Text,
        "any",
        "only a run of this conversation; \"\" is the agent's own",
    )],
    &[],
);

pub const SEND: Function = Function {
    name: "send",
    params: &[
        AGENT,
        Param::new("message", Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Any), Kind::Map]))
            .read(Read::Data),
        Param::new("options", Kind::Table(&OPTIONS)).optional(),
    ],
    returns: &[("sent", "boolean")],
    doc: "Says something to a run that is under way: a string, a message of the role \"user\", or an array of them. \
          The model sees it with the next request, behind the results of the tools that run now; if it was about to \
          finish it is asked once more. False if the agent has no run that could still see it. Of several runs it is \
          the one around the caller, else the one that began first. What no request could follow any more \
          (`max_iterations`, the budget, a handoff, calls for a client) is in `unseen_messages` of the response, or \
          of `err.partial`; of a run inside another one, in those of the outermost. A run that stops for approval \
          keeps it: its model sees it once the run goes on, or with the next input.",
    errors: &[Code::NotFound],
    effect: Effect::Writes("agents"),
    example: "local id = zigllms.agent.create{ provider = \"openai\" }\nassert(not zigllms.agent.send(id, \"nobody is running\"))",
    // So that it is known whose callback calls it.
    run: Run::Perhaps(None, send),
};

fn send(runtime: &mut Runtime, args: &Args<'_>) -> Result<Ready> {
    let number = runtime.agents.require(&args.id(0))?;
    let said = match args.get(1) {
        Some(value) => messages::read(value, "message")?,
        None => Vec::new(),
    };
    check(&said)?;
    let session = args.options(2, &OPTIONS).text("session");
    let Some(run) = running::heard_by(runtime, number, session.as_deref()) else {
        return Ok(Ready::Now(Data::Bool(false)));
    };
    if let Some(desk) = runtime.tasks.desk(run) {
        desk.inbox.extend(said);
    }
    Ok(Ready::Now(Data::Bool(true)))
}

/// Anything else has its place in a conversation, which is not here.
fn check(said: &[Message]) -> Result<()> {
    match said.iter().find(|message| message.role != Role::User) {
        Some(message) => Err(Error::invalid(format!(
            "message: expected the role \"user\", got {:?}",
            message.role.name()
        ))),
        None => Ok(()),
    }
}
