//! One run of an agent: ask the model, run the tools it asks for, ask again, until it is done.
//!
//! Invariants: every tool call that stands in a conversation has a result; a turn is appended to
//! the conversation when the run returns, and not at all when it raises.

use std::collections::{HashSet, VecDeque};

use serde_json::{Map, Value};

use super::conversation::{Window, not_executed};
use super::record::{self, Executed};
use super::tools::{Usable, specs};
use super::{Conversation, State};
use crate::chat::{self, Answer, Message, Role, ToolCall, Usage};
use crate::chunk::{Chunk, End};
use crate::clock::Moment;
use crate::error::{Code, Error, Result, quoted};
use crate::provider::{Ask, Exchange, Whom};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Stop, Token, stopped};
use crate::tool::{Input, ToolRun, error_text};
use crate::value::{Data, Record};

/// What a run was asked to do, checked and laid over the agent's configuration.
pub struct Plan {
    pub agent: u64,
    pub agent_id: String,
    pub whom: Whom,
    /// Conversation the run belongs to; "" is the agent's own.
    pub session: String,
    /// Read and write the conversation.
    pub remember: bool,
    pub input: Vec<Message>,
    /// The agent's options with those of the run on top.
    pub options: Map<String, Value>,
    pub tools: Vec<Usable>,
    /// Somebody reads chunks.
    pub follow: bool,
    /// End of the run.
    pub total: Option<Moment>,
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
    /// This turn: the input and everything since.
    pub(super) turn: Vec<Message>,
    pub(super) executed: Vec<Executed>,
    pub(super) pending: Vec<ToolCall>,
    calls: VecDeque<ToolCall>,
    running: Option<(ToolCall, Moment)>,
    pub(super) usage: Usage,
    pub(super) iteration: u32,
    pub(super) attempts: u32,
    pub(super) started: Moment,
    pub(super) last: Option<Box<Answer>>,
    pub(super) ttft_ms: Option<f64>,
    repaired: bool,
    chunk: Option<Chunk>,
    finished: Option<Data>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Another run is at the conversation.
    Queued,
    Asking,
    Calling,
    Ending,
}

impl Run {
    pub fn new(runtime: &Runtime, plan: Plan) -> Run {
        Run {
            key: format!("{}/{}", plan.agent, plan.session),
            started: runtime.clock.now(),
            stage: Stage::Queued,
            plan,
            me: 0,
            begun: false,
            holding: false,
            history: Vec::new(),
            turn: Vec::new(),
            executed: Vec::new(),
            pending: Vec::new(),
            calls: VecDeque::new(),
            running: None,
            usage: Usage::default(),
            iteration: 0,
            attempts: 0,
            last: None,
            ttft_ms: None,
            repaired: false,
            chunk: None,
            finished: None,
        }
    }

    pub fn operation(self) -> Operation {
        let (subject, deadline) = (self.plan.agent_id.clone(), self.plan.total);
        Operation { name: "agent_run", subject, machine: Box::new(self), deadline }
    }

    /// Takes the conversation, or waits until the run before is done with it.
    fn begin(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        if self.plan.remember && !self.holding && !self.take_conversation(runtime, me)? {
            return Ok(Step::Wait(None));
        }
        let now = runtime.clock.unix();
        let agent = self.agent(runtime)?;
        agent.runs.push(me);
        self.begun = true;
        agent.last_error = None;
        agent.enter(State::Ready, now);
        self.read_conversation(runtime)?;
        self.turn.append(&mut self.plan.input);
        self.ask(runtime)
    }

    /// True once the conversation is this run's.
    fn take_conversation(&mut self, runtime: &mut Runtime, me: Token) -> Result<bool> {
        self.refuse_nesting(runtime, me)?;
        let conversation = self.conversation(runtime)?;
        if conversation.holder.is_some_and(|holder| holder != me) {
            if !conversation.queue.contains(&me) {
                conversation.queue.push_back(me);
            }
            return Ok(false);
        }
        conversation.holder = Some(me);
        self.holding = true;
        Ok(true)
    }

    fn refuse_nesting(&self, runtime: &mut Runtime, me: Token) -> Result<()> {
        let around = runtime.tasks.get_mut(me).map_or(0, |running| running.parent);
        if runtime.tasks.holds(around, &self.key) {
            let id = &self.plan.agent_id;
            return Err(Error::state(format!(
                "{id} is running this conversation further out: use another `session` or `remember=false`"
            )));
        }
        Ok(())
    }

    fn read_conversation(&mut self, runtime: &mut Runtime) -> Result<()> {
        if !self.plan.remember {
            return Ok(());
        }
        let conversation = self.conversation(runtime)?;
        let (history, pending) = (conversation.messages.clone(), conversation.pending.clone());
        self.history = history;
        self.turn = not_executed(&unanswered(&pending, &self.plan.input));
        Ok(())
    }

    fn agent<'r>(&self, runtime: &'r mut Runtime) -> Result<&'r mut super::Agent> {
        let stop = Stop::Cancelled(Some("agent destroyed".into()));
        runtime.agents.get_mut(self.plan.agent).ok_or_else(|| stopped(&stop, "the run"))
    }

    fn conversation<'r>(&self, runtime: &'r mut Runtime) -> Result<&'r mut Conversation> {
        let session = self.plan.session.clone();
        Ok(self.agent(runtime)?.conversations.entry(session).or_default())
    }

    /// The next question to the model, unless a limit says no.
    fn ask(&mut self, runtime: &mut Runtime) -> Result<Step> {
        if let Some(over) = self.over_budget(runtime) {
            return self.limit(runtime, Code::BudgetExceeded, "budget_exceeded", &over, "raise");
        }
        if self.iteration >= self.max_iterations() {
            let text = format!("the model still asked for tools after {} rounds", self.iteration);
            return self.limit(runtime, Code::MaxIterations, "max_iterations", &text, "return");
        }
        self.iteration += 1;
        self.stage = Stage::Asking;
        let (now, iteration) = (runtime.clock.unix(), self.iteration);
        let agent = self.agent(runtime)?;
        agent.iteration = Some(iteration);
        agent.enter(State::Running, now);
        let exchange = Exchange::new(runtime, self.question(), self.plan.total)?;
        Ok(Step::Run(exchange.operation(None)))
    }

    fn max_iterations(&self) -> u32 {
        self.plan.options.get("max_iterations").and_then(Value::as_f64).map_or(10, |n| n as u32)
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
            options: self.plan.options.clone(),
            follow: self.plan.follow,
            iteration: Some(self.iteration),
            strict: false,
        }
    }

    fn messages(&self) -> Vec<Message> {
        let system = self.plan.options.get("system_prompt").and_then(Value::as_str);
        let system = system.map(|text| Message::new(Role::System, text));
        let all: Vec<Message> = self.history.iter().chain(&self.turn).cloned().collect();
        let window = Window::of(self.plan.options.get("memory"));
        system.into_iter().chain(window.newest(&all).iter().cloned()).collect()
    }

    /// What limit of the budget is used up, in words.
    fn over_budget(&self, runtime: &Runtime) -> Option<String> {
        let budget = self.plan.options.get("budget")?;
        let limit = |key: &str| budget.get(key).and_then(Value::as_f64);
        let spent_ms = runtime.clock.now().ms_since(self.started);
        let spent = [
            ("max_total_tokens", self.usage.total_tokens() as f64),
            ("max_steps", f64::from(self.iteration)),
            ("max_ms", spent_ms),
        ];
        let over =
            spent.into_iter().find(|(key, spent)| limit(key).is_some_and(|limit| *spent >= limit));
        over.map(|(key, spent)| {
            format!("budget.{key} is used up ({spent:.0} of {})", limit(key).unwrap_or_default())
        })
    }

    /// A limit was reached: raise or return, as `on_limit` or else the limit itself says.
    fn limit(
        &mut self,
        runtime: &mut Runtime,
        code: Code,
        reason: &'static str,
        text: &str,
        usual: &str,
    ) -> Result<Step> {
        let choice = self.plan.options.get("on_limit").and_then(Value::as_str).unwrap_or(usual);
        if choice == "raise" {
            let partial = record::response(self, runtime, reason);
            return Err(Error::new(code, text).with(|f| f.partial = Some(partial)));
        }
        self.finish(runtime, reason)
    }

    /// The model has answered.
    fn answered(&mut self, runtime: &mut Runtime, mut answer: Box<Answer>) -> Result<Step> {
        self.usage.add(&answer.usage);
        self.attempts += answer.attempts;
        self.ttft_ms = self.ttft_ms.or(answer.ttft_ms);
        self.name_calls(&mut answer);
        self.turn.push(message(&answer));
        let (reason, calls) = (answer.finish_reason, answer.reply.tool_calls.clone());
        let flaw = answer.flaw.clone();
        self.last = Some(answer);
        if reason == "cancelled" {
            return self.finish(runtime, reason);
        }
        if !calls.is_empty() {
            return self.called(runtime, calls);
        }
        match flaw {
            Some(flaw) => self.repair(runtime, flaw),
            None if reason == "pause" => self.ask(runtime),
            None => self.finish(runtime, reason),
        }
    }

    /// Calls get an id of their own where a server gave none or repeats one: results go by id.
    fn name_calls(&self, answer: &mut Answer) {
        let known = self.history.iter().chain(&self.turn).flat_map(|m| &m.tool_calls);
        let mut taken: HashSet<String> = known.map(|call| call.id.clone()).collect();
        let mut next = taken.len();
        for call in &mut answer.reply.tool_calls {
            while call.id.is_empty() || taken.contains(&call.id) {
                next += 1;
                call.id = format!("call_{next}");
            }
            taken.insert(call.id.clone());
        }
    }

    /// The model wants tools: run them, or say why not.
    fn called(&mut self, runtime: &mut Runtime, calls: Vec<ToolCall>) -> Result<Step> {
        let spent = self.iteration >= self.max_iterations() || self.over_budget(runtime).is_some();
        if spent {
            self.turn.append(&mut not_executed(&calls));
            return self.ask(runtime);
        }
        self.calls = calls.into();
        self.stage = Stage::Calling;
        self.next_call(runtime)
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

    /// Runs the next call of the round; after the last one the model is asked again.
    fn next_call(&mut self, runtime: &mut Runtime) -> Result<Step> {
        while let Some(call) = self.calls.pop_front() {
            let now = runtime.clock.now();
            match self.prepare(&call) {
                Ok(None) => self.pending.push(call),
                Ok(Some(machine)) => {
                    self.running = Some((call, now));
                    return Ok(Step::Run(machine.operation()));
                }
                Err(error) => {
                    self.running = Some((call, now));
                    return self.tool_failed(runtime, error);
                }
            }
        }
        if self.pending.is_empty() { self.ask(runtime) } else { self.finish(runtime, "tool_calls") }
    }

    /// The machine for a call; `None` if a client answers it.
    fn prepare(&self, call: &ToolCall) -> Result<Option<ToolRun>> {
        let usable = self.plan.tools.iter().find(|usable| usable.tool.name == call.name);
        let unknown =
            || Error::new(Code::NotFound, format!("no tool is named {}", quoted(&call.name)));
        let Usable { id, tool } = usable.ok_or_else(unknown)?;
        if tool.execute.is_none() {
            return Ok(None);
        }
        let bad = || Error::new(Code::ValidationFailed, "the arguments are not valid JSON");
        let input = Input::from_json(tool, call.arguments().ok_or_else(bad)?)?;
        let info = Record::new()
            .set("agent_id", self.plan.agent_id.as_str())
            .set("call_id", call.id.as_str());
        Ok(Some(ToolRun::new(tool.clone(), id.clone(), input, info).for_model()))
    }

    fn tool_ended(&mut self, runtime: &mut Runtime, output: Result<Output>) -> Result<Step> {
        match output {
            Ok(Output::Tool { result, text }) => self.tool_succeeded(runtime, result, text),
            Ok(_) => Err(Error::internal("a tool call ended with something else")),
            Err(error) => self.tool_failed(runtime, error),
        }
    }

    fn tool_succeeded(&mut self, runtime: &Runtime, result: Data, text: String) -> Result<Step> {
        let Some((call, since)) = self.running.take() else {
            return Err(Error::internal("no tool was running"));
        };
        let duration_ms = runtime.clock.now().ms_since(since);
        self.turn.push(Message::tool_result(&call.id, text));
        self.executed.push(Executed { call, result, error: None, duration_ms });
        Ok(self.tell())
    }

    /// A failing tool is the model's to deal with, unless the tool says otherwise.
    fn tool_failed(&mut self, runtime: &mut Runtime, error: Error) -> Result<Step> {
        let Some((call, since)) = self.running.take() else { return Err(error) };
        let raises = self.plan.tools.iter().any(|u| u.tool.name == call.name && u.tool.raises());
        let text = error.message().to_owned();
        let duration_ms = runtime.clock.now().ms_since(since);
        self.turn.push(Message::tool_result(&call.id, error_text(&text)));
        self.executed.push(Executed { call, result: Data::Nil, error: Some(text), duration_ms });
        if raises {
            let mut open = std::mem::take(&mut self.pending);
            open.extend(self.calls.drain(..));
            self.turn.append(&mut not_executed(&open));
            let partial = record::response(self, runtime, "unknown");
            return Err(error.with(|f| f.partial = Some(partial)));
        }
        Ok(self.tell())
    }

    /// Tells a follower of the stream about the tool that has ended.
    fn tell(&mut self) -> Step {
        let tool_result = self.executed.last().map(Executed::to_record);
        self.chunk =
            Some(Chunk { tool_result, iteration: Some(self.iteration), ..Chunk::default() });
        Step::Emit
    }

    /// The run ends well. Whoever follows the stream gets its last chunk first.
    fn finish(&mut self, runtime: &mut Runtime, reason: &'static str) -> Result<Step> {
        self.finished = Some(record::response(self, runtime, reason));
        self.stage = Stage::Ending;
        if !self.plan.follow {
            return self.conclude(runtime);
        }
        let end = End { finish_reason: reason.to_owned(), usage: Some(self.usage) };
        self.chunk = Some(Chunk { end: Some(end), ..Chunk::default() });
        Ok(Step::Emit)
    }

    /// The turn becomes part of the conversation, and the next run may have it.
    fn conclude(&mut self, runtime: &mut Runtime) -> Result<Step> {
        let response =
            self.finished.take().ok_or_else(|| Error::internal("no response at the end"))?;
        self.append_turn(runtime)?;
        self.close(runtime, None);
        Ok(Step::Done(Output::Data(response)))
    }

    fn append_turn(&mut self, runtime: &mut Runtime) -> Result<()> {
        if !self.plan.remember {
            return Ok(());
        }
        let (turn, pending) = (self.turn.clone(), self.pending.clone());
        let conversation = self.conversation(runtime)?;
        conversation.messages.extend(turn);
        conversation.pending = pending;
        Ok(())
    }

    /// Gives the conversation to the next run and settles the agent's state.
    fn close(&mut self, runtime: &mut Runtime, error: Option<&Error>) {
        let (now, me) = (runtime.clock.unix(), self.me);
        let next = self.release(runtime);
        let waiting = !self.pending.is_empty();
        if let Ok(agent) = self.agent(runtime) {
            agent.runs.retain(|token| *token != me);
            agent.iteration = None;
            let counts = agent.counts.get_or_insert_default();
            counts.runs += 1;
            counts.errors += u64::from(error.is_some());
            counts.usage.add(&self.usage);
            counts.last_run_at = Some(now);
            agent.last_error = error.map(|e| e.to_string().into());
            if agent.runs.is_empty() {
                agent.enter(ended_state(error, waiting), now);
            }
        }
        if let Some(next) = next {
            // The notifier exists: the waiting run was started on it.
            let _ = runtime.tasks.post(next);
        }
    }

    /// Hands the conversation to the run that has waited longest; nobody slips in between.
    fn release(&mut self, runtime: &mut Runtime) -> Option<Token> {
        if !std::mem::take(&mut self.holding) {
            return None;
        }
        let conversation = self.conversation(runtime).ok()?;
        conversation.holder = conversation.queue.pop_front();
        conversation.holder
    }

    /// The run failed or was stopped.
    fn fail(&mut self, runtime: &mut Runtime, error: Error) -> Error {
        if self.begun {
            self.close(runtime, Some(&error));
        } else {
            self.leave_queue(runtime);
        }
        error
    }

    /// A run that never began: if the conversation was already its own, the next one gets it.
    fn leave_queue(&mut self, runtime: &mut Runtime) {
        let me = self.me;
        let Ok(conversation) = self.conversation(runtime) else { return };
        conversation.queue.retain(|token| *token != me);
        if conversation.holder != Some(me) {
            return;
        }
        self.holding = true;
        if let Some(next) = self.release(runtime) {
            // The notifier exists: the waiting run was started on it.
            let _ = runtime.tasks.post(next);
        }
    }

    /// What the run has so far, with the text of the answer that broke off.
    fn with_partial(&self, runtime: &Runtime, error: Error) -> Error {
        let reason = match error.code() {
            Code::Cancelled => "cancelled",
            _ => "unknown",
        };
        let broken = error.fields().partial.as_ref().and_then(content_of);
        let mut partial = record::response(self, runtime, reason);
        if let (Some(text), Data::Record(record)) = (broken, &mut partial) {
            record.fields.retain(|(key, _)| key != "content");
            record.put("content", text);
        }
        error.with(|f| f.partial = Some(partial))
    }

    fn stop(&mut self, runtime: &Runtime, stop: &Stop) -> Error {
        let error = stopped(stop, "the run");
        self.with_partial(runtime, error)
    }
}

/// Pending calls that the new input does not answer.
fn unanswered(pending: &[ToolCall], input: &[Message]) -> Vec<ToolCall> {
    let answered = |call: &&ToolCall| {
        input.iter().any(|m| m.tool_call_id.as_deref() == Some(call.id.as_str()))
    };
    pending.iter().filter(|call| !answered(call)).cloned().collect()
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
            Outcome::Ready => Ok(Step::Wait(None)),
            Outcome::Finished(outputs) => self.child_ended(runtime, outputs),
            Outcome::Emitted | Outcome::Refused | Outcome::Stop(_)
                if self.stage == Stage::Ending =>
            {
                self.conclude(runtime)
            }
            Outcome::Emitted => self.next_call(runtime),
            Outcome::Refused => self.refused(runtime),
            Outcome::Stop(stop) => Err(self.stop(runtime, &stop)),
            Outcome::Raised(raised) => {
                let error = raised.into_error("the stream callback");
                Err(self.with_partial(runtime, error))
            }
            Outcome::Start | Outcome::Returned(_) => {
                Err(Error::internal("a run calls nothing itself"))
            }
        };
        result.map_err(|error| self.fail(runtime, error))
    }

    fn chunk(&mut self) -> Option<Chunk> {
        self.chunk.take()
    }

    fn holds(&self) -> Option<&str> {
        self.holding.then_some(self.key.as_str())
    }

    fn abandon(&mut self, runtime: &mut Runtime, _: Token) {
        let gone = Error::new(Code::Cancelled, "abandoned");
        self.fail(runtime, gone);
    }
}

impl Run {
    fn child_ended(&mut self, runtime: &mut Runtime, outputs: Vec<Result<Output>>) -> Result<Step> {
        let output =
            outputs.into_iter().next().unwrap_or_else(|| Err(Error::internal("no output")));
        match self.stage {
            Stage::Calling => self.tool_ended(runtime, output),
            _ => match output.map_err(|error| self.with_partial(runtime, error))? {
                Output::Answer(answer) => self.answered(runtime, answer),
                _ => Err(Error::internal("a question ended with something else")),
            },
        }
    }

    /// The stream callback returned `false` after a tool: the rest of the round is not run.
    fn refused(&mut self, runtime: &mut Runtime) -> Result<Step> {
        self.turn.append(&mut not_executed(self.calls.make_contiguous()));
        self.plan.follow = false;
        self.finish(runtime, "cancelled")
    }
}
