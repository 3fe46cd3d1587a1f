//! `agent.resume`: decisions on the calls that a run has stopped before.

use serde_json::Value;

use super::AGENT;
use crate::agent::{self, Agent, Decision, Decisions, MODEL, Plan, RAW, Resume, Run as AgentRun};
use crate::agent::{BEHAVIOUR, about};
use crate::error::{Code, Error, Result, quoted};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::lua::faces::{ASYNC, DETACH, STREAM, follows, streamed};
use crate::provider::options::{GENERATION, LIMITS};
use crate::provider::reach::REACH;
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::step::Start;
use crate::value::{Ref, json};

static OPTIONS: Shape = Shape::new(
    "ResumeOptions",
    &[
        Field::new("session", Kind::Name, "", "the conversation, by name"),
        STREAM,
        ASYNC,
        DETACH,
        MODEL,
        RAW,
    ],
    &[&BEHAVIOUR, &GENERATION, &LIMITS, &REACH],
);

static DECISION: Shape = Shape::new(
    "Decision",
    &[
        Field::new("arguments", Kind::Map, "", "the call is made with these arguments instead"),
        Field::new("deny", Kind::Text, "", "it is not made, and the model is told why"),
        Field::new("result", Kind::Any, "", "it is not made: this is its result"),
    ],
    &[],
);

pub const DECISION_KIND: Kind =
    Kind::OneOf(&[Kind::Enum(&["approve", "deny"]), Kind::Table(&DECISION)]);

pub const RESUME: Function = Function {
    name: "resume",
    params: &[
        AGENT,
        Param::new("decisions", Kind::MapOf(&DECISION_KIND)),
        Param::new("options", Kind::Table(&OPTIONS)).optional(),
    ],
    returns: &[("response", "zigllms.Response")],
    doc: "Goes on with a run that has stopped with `approval_required`. `decisions` says for each pending call, by its id, \
          \"approve\", \"deny\", `{deny=\"why\"}`, `{arguments=…}` or `{result=…}`; calls that a client answers may be left \
          to `agent.run`. The run keeps the options it was given, those here stand over them; its iterations, usage and \
          budget go on, and the response is that of the whole run, without the time it stood still. Should it raise, the \
          calls that were made are not made again: resume once more. A run that lies in the store (memory type \
          \"persistent\") goes on in one process at a time. Waits.",
    errors: &[
        Code::NotFound,
        Code::InvalidState,
        Code::ValidationFailed,
        Code::Auth,
        Code::RateLimited,
        Code::Overloaded,
        Code::ContextLength,
        Code::ContentFilter,
        Code::BadRequest,
        Code::ServerError,
        Code::Network,
        Code::BadResponse,
        Code::Cancelled,
        Code::Timeout,
        Code::BudgetExceeded,
        Code::MaxIterations,
        Code::CallbackError,
        Code::ToolError,
    ],
    effect: Effect::Outside,
    example: "local id = zigllms.agent.create{ provider = \"openai\" }\n\
              local ok, response = pcall(zigllms.agent.run, id, \"Pay Ada\")\n\
              if ok and response.finish_reason == \"approval_required\" then\n\
              \x20\x20local call = response.pending_tool_calls[1]\n\
              \x20\x20response = zigllms.agent.resume(id, { [call.id] = \"approve\" })\n\
              end",
    run: Run::Waits(resume),
};

/// The decisions on the calls of a run.
pub fn read(decisions: Option<Ref<'_>>) -> Result<Decisions> {
    let given = decisions.into_iter().flat_map(Ref::members).filter(|(_, what)| !what.is_null());
    given
        .map(|(id, what)| {
            let id = id.to_text();
            let decision = one(what, &format!("decisions[{}]", quoted(&id)))?;
            Ok((id, decision))
        })
        .collect()
}

fn one(given: Ref<'_>, place: &str) -> Result<Decision> {
    if let Some(word) = given.as_str() {
        let denied = word.eq_ignore_ascii_case("deny");
        return Ok(if denied { Decision::Deny(None) } else { Decision::Approve });
    }
    let options = Options::new(Some(given), &DECISION);
    let said = ["arguments", "deny", "result"].map(|name| options.get(name));
    match said {
        [Some(arguments), None, None] => Ok(Decision::Change(object(arguments))),
        [None, Some(why), None] => Ok(Decision::Deny(why.as_str().map(str::to_owned))),
        [None, None, Some(result)] => Ok(Decision::Answer(in_words(result))),
        _ => Err(Error::invalid(format!(
            "{place}: expected exactly one of arguments, deny, result, got {}",
            match said.iter().flatten().count() {
                0 => "none of them".to_owned(),
                several => format!("{several} of them"),
            }
        ))),
    }
}

/// Arguments are an object, also where there are none.
fn object(arguments: Ref<'_>) -> Value {
    match arguments.to_json() {
        Value::Object(members) => Value::Object(members),
        _ => Value::Object(serde_json::Map::new()),
    }
}

pub fn in_words(result: Ref<'_>) -> String {
    result.as_str().map_or_else(|| json::to_sorted(result), str::to_owned)
}

/// Whether the decisions are on a run that belongs to no conversation.
fn is_aside(agent: &Agent, session: &str, decisions: &Decisions) -> bool {
    let own = agent.conversation(session).and_then(|conversation| conversation.paused.as_ref());
    !own.is_some_and(|paused| about(paused, decisions))
        && agent.aside.iter().any(|paused| about(paused, decisions))
}

/// Says at once what is wrong with the decisions, where it can be seen from here: not before the
/// runs that are at the conversation have ended, and not of one that lies in the store.
fn check_now(runtime: &Runtime, plan: &mut Plan, decisions: &Decisions) -> Result<()> {
    let Some(agent) = runtime.agents.get(plan.agent) else { return Ok(()) };
    let conversation = agent.conversation(&plan.session).filter(|_| plan.remember);
    let is_elsewhere = plan.remember && agent.is_persistent();
    if is_elsewhere || conversation.is_some_and(|conversation| !conversation.queue.is_idle()) {
        return Ok(());
    }
    let paused = match plan.remember {
        true => conversation.and_then(|conversation| conversation.paused.as_deref()),
        false => agent.aside.iter().rev().find(|paused| about(paused, decisions)).map(Box::as_ref),
    };
    let paused = paused.ok_or_else(agent::nothing_waits)?.clone();
    plan.over(runtime, &paused.own)?;
    plan.input = paused.input();
    agent::check_decisions(runtime, &paused, decisions, &plan.tools)
}

fn resume(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let number = runtime.agents.require(&args.id(0))?;
    let options = args.options(2, &OPTIONS);
    let (face, sink) = streamed(&options, None)?;
    let decisions = read(args.get(1))?;
    let session = options.text("session").unwrap_or_default();
    let plan = Plan::new(runtime, number, crate::agent::own::read(runtime, &options)?)?;
    let agent = runtime.agents.get(number).ok_or_else(|| Error::not_found("agent", &args.id(0)))?;
    let remember = plan.remember && !is_aside(agent, &session, &decisions);
    let mut plan = Plan { session, remember, follow: follows(face, sink.as_ref()), ..plan };
    check_now(runtime, &mut plan, &decisions)?;
    agent::refuse_nesting(runtime, runtime.tasks.around, &plan)?;
    let run = AgentRun::new(runtime, plan).resuming(Resume { decisions, run: None });
    Ok(Start { operation: run.operation(), face, sink })
}
