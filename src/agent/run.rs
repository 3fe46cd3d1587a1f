//! One run of an agent: ask the model, run the tools it asks for, ask again, until it is done.
//!
//! Invariants: every tool call that stands in a conversation has a result; a turn is appended to
//! the conversation when the run returns, and not at all when it raises.

use std::collections::{HashMap, VecDeque};

use serde_json::{Map, Value};

use super::State;
use super::input;
use super::paused::{Decisions, Open, Own, Paused, Resumed, Why};
use super::record::{self, Executed};
use super::summarize::Summarize;
use super::tools::specs;
use crate::chat::{self, Answer, Message, Role, ToolCall, Usage};
use crate::chunk::{Chunk, End};
use crate::clock::Moment;
use crate::desk::Desk;
use crate::error::{Code, Error, Result};
use crate::ledger::Ledger;
use crate::provider::{Ask, Exchange, Reach, Whom};
use crate::runtime::Runtime;
use crate::step::{Given, Machine, Operation, Outcome, Output, Rest, Step, Stop, Token, stopped};
use crate::store::Pending;
use crate::tool::Usable;
use crate::value::{Data, Record};

mod approval;
mod calls;
mod claim;
pub mod conversation;
pub mod handoff;
mod hooked;
mod keeping;
mod limits;
mod pausing;
mod steering;
mod summary;

pub use pausing::Resume;
use summary::Folded;

/// What a run was asked to do, checked and laid over the agent's configuration.
pub struct Plan {
    pub agent: u64,
    pub agent_id: String,
    pub whom: Whom,
    /// Conversation the run belongs to; "" is the agent's own.
    pub session: String,
    /// Read and write the conversation.
    pub remember: bool,
    /// Id of a call of another run, which goes on with it where it stops: nothing of it is kept then.
    pub within: Option<String>,
    /// Number of the execution of a workflow whose step it is: that keeps it where it stops, and may
    /// pause it between two questions.
    pub execution: Option<u64>,
    /// A tool call is behind it: nobody sees its response as it is.
    pub inner: bool,
    pub input: Vec<Message>,
    /// The agent's options with those of the run on top.
    pub options: Map<String, Value>,
    pub reach: Reach,
    pub tools: Vec<Usable>,
    /// Somebody reads chunks.
    pub follow: bool,
    /// End of the run.
    pub total: Option<Moment>,
    /// What it says beyond the agent's configuration.
    pub own: Own,
    /// Stands before the conversation, and belongs to another one.
    pub context: Vec<Message>,
    pub summarize: Option<Summarize>,
}

pub struct Run {
    pub(super) plan: Plan,
    stage: Stage,
    /// Holds the conversation, as `Machine::holds` tells.
    key: String,
    me: Token,
    /// Counted among the agent's runs.
    begun: bool,
    holding: bool,
    history: Vec<Message>,
    /// At the end of the history: a turn that stopped before, which this one closes.
    closed: Vec<Message>,
    /// This turn: the input and everything since.
    pub(super) turn: Vec<Message>,
    pub(super) executed: Vec<Executed>,
    /// Calls of this round that are left open.
    pub(super) pending: Vec<Open>,
    /// Whether they need approval is to be told yet.
    unweighed: VecDeque<ToolCall>,
    /// The one a function is being asked about.
    weighed: Option<ToolCall>,
    calls: VecDeque<ToolCall>,
    /// Calls that are runs of their own, with what they go on with.
    resumed: HashMap<String, Resumed>,
    /// Ids of calls that were not made, though they have a result.
    skipped: Vec<String>,
    running: Option<(ToolCall, Moment)>,
    /// Calls that run side by side now.
    beside: Vec<(ToolCall, Moment)>,
    /// So many of those executed were told to whoever follows the stream.
    told: usize,
    pub(super) ledger: Ledger,
    /// As much of it as was counted when the run stopped before.
    counted: Usage,
    pub(super) desk: Desk,
    pub(super) iteration: u32,
    pub(super) attempts: u32,
    pub(super) last: Option<Box<Answer>>,
    pub(super) ttft_ms: Option<f64>,
    repaired: bool,
    chunk: Option<Chunk>,
    finished: Option<Data>,
    /// Content that a hook gave in place of the response's.
    replaced: Option<String>,
    /// What the store was asked.
    asked: Option<Pending>,
    /// The response of the agent that the run was handed over to.
    pub(super) taken_over: Option<Record>,
    /// What came of an answer that the end of the budget broke off.
    pub(super) broken: Option<Data>,
    /// So many of `history` stand there before what this run adds to it.
    known: usize,
    folded: Folded,
    /// So many messages are being summed up.
    folding: usize,
    resume: Option<Resume>,
    /// It goes on with a run that has stopped.
    resumes: bool,
    /// What it was told to go on with, until it does.
    decided: Decisions,
    /// The store knows that it goes on.
    claims: bool,
    /// It only takes in answers to some of the open calls.
    answers: bool,
    /// Its execution is paused: it stands still between two questions.
    stands_still: bool,
    /// What had stopped, until this run has ended well.
    origin: Option<Box<Paused>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Another run is at the conversation.
    Queued,
    /// The conversation is read from the store.
    Reading,
    /// Other processes are told who goes on.
    Claiming,
    /// What falls out of the window is summed up.
    Folding,
    Asking,
    /// A function is asked whether a call needs approval.
    Weighing,
    Calling,
    /// Several tools at once.
    Beside,
    Ending,
    /// The turn is written to the store.
    Writing,
    /// Somebody else's turn was written first: the conversation is read again.
    Behind,
}

impl Run {
    pub fn new(runtime: &Runtime, plan: Plan) -> Run {
        Run {
            key: conversation::key(&plan),
            ledger: Ledger::new(plan.options.get("budget"), runtime.clock.now()),
            desk: steering::desk(&plan),
            stage: Stage::Queued,
            plan,
            me: 0,
            begun: false,
            holding: false,
            history: Vec::new(),
            closed: Vec::new(),
            turn: Vec::new(),
            executed: Vec::new(),
            pending: Vec::new(),
            unweighed: VecDeque::new(),
            weighed: None,
            calls: VecDeque::new(),
            resumed: HashMap::new(),
            skipped: Vec::new(),
            running: None,
            beside: Vec::new(),
            told: 0,
            counted: Usage::default(),
            iteration: 0,
            attempts: 0,
            last: None,
            ttft_ms: None,
            repaired: false,
            chunk: None,
            finished: None,
            replaced: None,
            asked: None,
            taken_over: None,
            broken: None,
            known: 0,
            folded: Folded::default(),
            folding: 0,
            resume: None,
            resumes: false,
            decided: Decisions::default(),
            claims: false,
            answers: false,
            stands_still: false,
            origin: None,
        }
    }

    pub fn operation(self) -> Operation {
        let (subject, deadline) = (self.plan.agent_id.clone(), self.plan.total);
        Operation { name: "agent_run", subject, machine: Box::new(self), deadline }
    }

    /// Takes the conversation, or waits until the run before is done with it.
    fn begin(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        if !self.join(runtime, me)? {
            self.refuse_late(runtime)?;
            return Ok(Step::Wait(self.ledger.end()));
        }
        match self.is_kept() {
            true => self.fetch(runtime, Stage::Reading),
            false => self.open(runtime),
        }
    }

    /// The conversation is there.
    fn open(&mut self, runtime: &mut Runtime) -> Result<Step> {
        if self.resumes {
            return self.open_again(runtime);
        }
        self.check_input(runtime)?;
        self.enter(runtime, self.me)?;
        self.read_conversation(runtime)?;
        self.check_prices(runtime)?;
        if self.answers { self.finish(runtime, self.waiting_reason()) } else { self.ask(runtime) }
    }

    /// From here on it is one of the agent's runs.
    fn enter(&mut self, runtime: &mut Runtime, me: Token) -> Result<()> {
        let now = runtime.clock.unix();
        let agent = self.agent(runtime)?;
        agent.runs.push(me);
        self.begun = true;
        agent.last_error = None;
        agent.enter(State::Ready, now);
        Ok(())
    }

    fn agent<'r>(&self, runtime: &'r mut Runtime) -> Result<&'r mut super::Agent> {
        let stop = Stop::Cancelled(Some("agent destroyed".into()));
        runtime.agents.get_mut(self.plan.agent).ok_or_else(|| stopped(&stop, "the run"))
    }

    /// The next question to the model, unless a limit says no.
    fn ask(&mut self, runtime: &mut Runtime) -> Result<Step> {
        if self.is_to_pause(runtime) {
            return self.stand_still(runtime);
        }
        if let Some(over) = self.over_budget(runtime) {
            return self.exceeded(runtime, &over, None);
        }
        if self.iteration >= self.max_iterations() {
            let text = format!("the model still asked for tools after {} rounds", self.iteration);
            return self.limit(runtime, Code::MaxIterations, "max_iterations", &text, "return");
        }
        self.take_messages();
        if let Some(step) = self.fold(runtime)? {
            return Ok(step);
        }
        self.iteration = self.iteration.saturating_add(1);
        self.stage = Stage::Asking;
        let (now, iteration) = (runtime.clock.unix(), self.iteration);
        let agent = self.agent(runtime)?;
        agent.iteration = Some(iteration);
        agent.enter(State::Running, now);
        let exchange = Exchange::new(runtime, self.question(), self.plan.total)?;
        Ok(Step::Run(exchange.operation(self.ledger.end())))
    }

    fn question(&self) -> Ask {
        let model = self.plan.options.get("model").and_then(Value::as_str).unwrap_or_default();
        Ask {
            whom: self.plan.whom.clone(),
            request: chat::Request {
                model: model.to_owned(),
                messages: self.messages(),
                tools: specs(&self.plan.tools),
                ..chat::Request::default()
            },
            options: self.options(),
            reach: self.plan.reach.clone(),
            follow: self.plan.follow,
            iteration: Some(self.iteration),
            strict: false,
        }
    }

    /// A choice that forces a call has done so with the first one: it would force one in each round.
    fn options(&self) -> Map<String, Value> {
        let mut options = self.plan.options.clone();
        let forces = |choice: &Value| choice.is_object() || choice == "required";
        let has_called = || self.turn.iter().any(|message| !message.tool_calls.is_empty());
        if options.get("tool_choice").is_some_and(forces) && has_called() {
            options.shift_remove("tool_choice");
        }
        options
    }

    /// The model has answered.
    fn answered(&mut self, runtime: &mut Runtime, mut answer: Box<Answer>) -> Result<Step> {
        self.attempts = self.attempts.saturating_add(answer.attempts);
        self.ttft_ms = self.ttft_ms.or(answer.ttft_ms);
        self.name_calls(runtime, &mut answer);
        self.turn.push(message(&answer));
        let (reason, calls) = (answer.finish_reason, answer.reply.tool_calls.clone());
        let flaw = answer.flaw.clone();
        self.last = Some(answer);
        if reason == "cancelled" {
            self.skip(&calls);
            return self.finish(runtime, reason);
        }
        if !calls.is_empty() {
            return self.called(runtime, calls);
        }
        match flaw {
            Some(flaw) => self.repair(runtime, flaw),
            None if reason == "pause" || self.has_unseen(runtime) => self.ask(runtime),
            None => self.finish(runtime, reason),
        }
    }

    /// There is no answer: perhaps because the time of the budget is over.
    fn no_answer(&mut self, runtime: &mut Runtime, error: Error) -> Result<Step> {
        let stopped = matches!(error.code(), Code::Timeout | Code::BudgetExceeded);
        match self.over_budget(runtime).filter(|_| stopped) {
            Some(over) => self.exceeded(runtime, &over, Some(&error)),
            None => Err(self.with_partial(runtime, error)),
        }
    }

    /// Structured output that does not fit gets one more chance.
    fn repair(&mut self, runtime: &mut Runtime, flaw: Error) -> Result<Step> {
        if self.repaired || self.iteration >= self.max_iterations() {
            let partial = record::response(self, runtime, "stop");
            return Err(flaw.with(|f| f.partial = Some(partial)));
        }
        self.repaired = true;
        let text = format!(
            "{}. Answer again with JSON that fits the schema, and nothing else.",
            flaw.message()
        );
        self.turn.push(Message::new(Role::User, text));
        self.ask(runtime)
    }

    /// The run ends well. Whoever follows the stream gets its last chunk first.
    fn finish(&mut self, runtime: &mut Runtime, reason: &str) -> Result<Step> {
        self.close_desk();
        self.finished = Some(record::response(self, runtime, reason));
        self.stage = Stage::Ending;
        // The end of a run inside another one is no end of the stream.
        if !self.plan.follow || self.plan.inner {
            return self.conclude(runtime);
        }
        let end = End { finish_reason: reason.to_owned(), usage: Some(self.ledger.usage) };
        self.chunk = Some(Chunk { end: Some(end), ..Chunk::default() });
        Ok(Step::Emit)
    }

    /// The turn becomes part of the conversation, and the next run may have it.
    fn conclude(&mut self, runtime: &mut Runtime) -> Result<Step> {
        if self.is_handed_out() {
            return self.over(runtime);
        }
        if self.is_kept() {
            return self.write(runtime);
        }
        self.append_turn(runtime)?;
        self.over(runtime)
    }

    fn over(&mut self, runtime: &mut Runtime) -> Result<Step> {
        let response =
            self.finished.take().ok_or_else(|| Error::internal("no response at the end"))?;
        let paused = self.pause(runtime).filter(|_| self.is_handed_out());
        if paused.is_none() {
            self.hand_up_unseen(runtime);
        }
        self.close(runtime, None);
        Ok(Step::Done(match paused {
            Some(run) => Output::Paused { response, rest: Rest::new(*run) },
            None => Output::Data(response),
        }))
    }

    /// Gives the conversation to the next run and settles the agent's state.
    fn close(&mut self, runtime: &mut Runtime, error: Option<&Error>) {
        self.leave(runtime);
        let (now, me) = (runtime.clock.unix(), self.me);
        let waiting = self.stops_early();
        let (usage, again) = (self.used(), self.resumes || self.answers);
        let Ok(agent) = self.agent(runtime) else { return };
        agent.counts.get_or_insert_default().ended(&usage, error.is_some(), again, now);
        let name = agent.name.clone();
        agent.runs.retain(|token| *token != me);
        agent.iteration = None;
        agent.last_error = error.map(|e| e.to_string().into());
        if agent.runs.is_empty() {
            agent.enter(ended_state(error, waiting), now);
        }
        runtime.coverage.note(|count| count.agents.used(&name));
    }

    /// The run failed or was stopped.
    fn fail(&mut self, runtime: &mut Runtime, error: Error) -> Error {
        self.close_desk();
        self.hand_up_unseen(runtime);
        self.put_back(runtime);
        if self.begun {
            self.close(runtime, Some(&error));
        } else {
            self.leave(runtime);
        }
        error
    }

    /// What the run has so far, with the text of the answer that broke off.
    fn with_partial(&self, runtime: &Runtime, error: Error) -> Error {
        let reason = match error.code() {
            Code::Cancelled => "cancelled",
            Code::BudgetExceeded => "budget_exceeded",
            _ => "unknown",
        };
        let partial = self.partial(runtime, reason, &error);
        error.with(|f| f.partial = Some(partial))
    }

    /// The response so far, with the text of the answer that the error broke off.
    fn partial(&self, runtime: &Runtime, reason: &str, error: &Error) -> Data {
        let broken = error.fields().partial.as_ref().and_then(content_of);
        let partial = record::response(self, runtime, reason);
        match broken {
            Some(text) => hooked::with_content(partial, &text),
            None => partial,
        }
    }

    fn stop(&mut self, runtime: &Runtime, stop: &Stop) -> Error {
        let error = stopped(stop, "the run");
        self.break_off();
        self.with_partial(runtime, error)
    }
}

fn message(answer: &Answer) -> Message {
    let reply = &answer.reply;
    let mut message = Message::new(Role::Assistant, reply.content.as_str());
    message.tool_calls = reply.tool_calls.clone();
    message.blocks = reply.blocks.clone();
    message
}

fn ended_state(error: Option<&Error>, waiting: bool) -> State {
    match error {
        Some(_) => State::Error,
        None if waiting => State::Ready,
        None => State::Completed,
    }
}

fn content_of(partial: &Data) -> Option<String> {
    match partial {
        Data::Record(record) => match record.get("content") {
            Some(Data::Text(text)) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

impl Machine for Run {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        self.me = me;
        let result = match outcome {
            Outcome::Start | Outcome::Ready if self.stage == Stage::Queued => {
                self.begin(runtime, me)
            }
            Outcome::Ready if self.asked.is_some() => self.hear(runtime),
            Outcome::Ready => Ok(Step::Wait(None)),
            Outcome::Finished(outputs) => self.child_ended(runtime, outputs),
            Outcome::Emitted | Outcome::Refused if self.stage == Stage::Ending => {
                self.conclude(runtime)
            }
            // Nothing can be waited for any more.
            Outcome::Stop(_) if self.stage == Stage::Ending && !self.is_kept() => {
                self.conclude(runtime)
            }
            Outcome::Stop(stop) if matches!(self.stage, Stage::Writing | Stage::Behind) => {
                Err(self.stop_writing(&stop))
            }
            Outcome::Emitted => self.next_call(runtime),
            Outcome::Refused => self.refused(runtime),
            Outcome::Stop(stop) => Err(self.stop(runtime, &stop)),
            Outcome::Returned(returned) if self.stage == Stage::Folding => {
                self.function_summed_up(runtime, returned)
            }
            Outcome::Raised(raised) if self.stage == Stage::Folding => {
                Err(self.function_failed(runtime, raised))
            }
            Outcome::Returned(said) if self.stage == Stage::Weighing => {
                self.weighed(runtime, &said)
            }
            Outcome::Raised(raised) if self.stage == Stage::Weighing => {
                self.not_weighed(runtime, &raised)
            }
            Outcome::Raised(raised) => {
                self.break_off();
                let error = raised.into_error("the stream callback");
                Err(self.with_partial(runtime, error))
            }
            Outcome::Start | Outcome::Returned(_) | Outcome::Heard(_) => {
                Err(Error::internal("a run calls nothing itself"))
            }
        };
        result.map_err(|error| self.fail(runtime, error))
    }

    fn chunk(&mut self) -> Option<Chunk> {
        self.chunk.take()
    }

    fn agent(&self) -> Option<u64> {
        Some(self.plan.agent)
    }

    fn ledger(&mut self) -> Option<&mut Ledger> {
        Some(&mut self.ledger)
    }

    fn desk(&mut self) -> Option<&mut Desk> {
        Some(&mut self.desk)
    }

    fn about(&self, runtime: &Runtime) -> Record {
        self.who(runtime)
    }

    fn input(&self) -> Data {
        self.shown_input()
    }

    fn replace_input(&mut self, _: &mut Runtime, given: &Given<'_>) -> Result<()> {
        self.plan.input = input::read(Some(given.data()?))?;
        Ok(())
    }

    fn replace_output(
        &mut self,
        runtime: &mut Runtime,
        given: &Given<'_>,
        own: Option<Output>,
    ) -> Result<Output> {
        self.respond_instead(runtime, given, own)
    }

    fn told_of(&self, output: &Output) -> Record {
        self.told_of_response(output)
    }

    fn resumes(&self) -> bool {
        self.resumes
    }

    /// Calls of a client end a run: its answers are the input of another one.
    fn pauses(&self) -> bool {
        self.waits_for(Why::Approval) || self.is_handed_out()
    }

    fn holds(&self) -> Option<&str> {
        // Before it starts its hooks run: they are inside it, too.
        let starts = self.plan.remember && self.me == 0;
        (self.holding || starts).then_some(self.key.as_str())
    }

    fn abandon(&mut self, runtime: &mut Runtime, _: Token) {
        let gone = Error::new(Code::Cancelled, "abandoned");
        self.fail(runtime, gone);
    }
}

impl Run {
    fn child_ended(&mut self, runtime: &mut Runtime, outputs: Vec<Result<Output>>) -> Result<Step> {
        if self.stage == Stage::Beside {
            return self.all_ended(runtime, outputs);
        }
        let output =
            outputs.into_iter().next().unwrap_or_else(|| Err(Error::internal("no output")));
        match self.stage {
            Stage::Calling => self.tool_ended(runtime, output),
            Stage::Folding => self.model_summed_up(runtime, output),
            _ => match output {
                Ok(Output::Answer(answer)) => self.answered(runtime, answer),
                Ok(_) => Err(Error::internal("a question ended with something else")),
                Err(error) => self.no_answer(runtime, error),
            },
        }
    }
}
