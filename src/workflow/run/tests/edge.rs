//! Stands where Lua would: performs what machines ask for, in an order that dice decide.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::dice::Dice;
use super::plan::{Function, Plan, width};
use super::watch::Watch;
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{
    Act, Machine, Operation, Outcome, Output, Raised, Returned, Step as Next, Stop, Token,
};
use crate::tasks;
use crate::value::{Data, Document, Record, Slot, json as tape_json};
use crate::workflow::frame::PLACE;
use crate::workflow::run::{Executing, Resuming};
use crate::workflow::{Cancelling, Status};

/// Turns after which an execution does not end any more.
const TURNS: usize = 200_000;

pub struct Edge {
    pub runtime: Runtime,
    pub plan: Plan,
    /// Number of the execution.
    pub number: u64,
    pub turns: usize,
    pub watch: Watch,
    /// What functions were called for: keys of steps, and attempts.
    pub calls: BTreeMap<String, usize>,
    dice: Dice,
    /// What lies in Lua, by the numbers of slots; `None` is no data.
    values: HashMap<i64, Option<Value>>,
    ready: Vec<(Token, Outcome)>,
    waiting: HashSet<Token>,
    posted: HashSet<Token>,
    /// Who waits for the end of whom.
    inside: HashMap<Token, Token>,
    stopped: HashMap<Token, String>,
    /// How many branches may go on side by side in a machine.
    widths: HashMap<Token, usize>,
    outermost: Token,
    outcome: Option<Result<Output>>,
}

impl Edge {
    pub fn new(mut runtime: Runtime, plan: Plan, seed: u64) -> Edge {
        let definition = plan.definition.clone();
        let workflow = runtime.workflows.known.insert(crate::workflow::Workflow {
            name: "w".into(),
            definition,
            created_at: 0.0,
        });
        let number = runtime.workflows.begin(workflow, Data::Int(1)).expect("an execution");
        Edge {
            runtime,
            plan,
            number,
            turns: 0,
            watch: Watch::default(),
            calls: BTreeMap::new(),
            dice: Dice::new(seed),
            values: HashMap::new(),
            ready: Vec::new(),
            waiting: HashSet::new(),
            posted: HashSet::new(),
            inside: HashMap::new(),
            stopped: HashMap::new(),
            widths: HashMap::new(),
            outermost: 0,
            outcome: None,
        }
    }

    pub fn status(&self) -> Status {
        self.runtime.workflows.execution(self.number).expect("it is known").status
    }

    pub fn execute(&mut self, meddle: &mut dyn FnMut(&mut Edge)) -> Result<Output> {
        let executing = Executing::new(&self.runtime, self.number).expect("it is known");
        let operation = executing.operation(&self.runtime);
        self.widths.clear();
        self.drive(operation, meddle)
    }

    pub fn resume(&mut self, meddle: &mut dyn FnMut(&mut Edge)) -> Result<Output> {
        self.drive(Operation::new("resuming", Resuming::new(self.number)), meddle)
    }

    pub fn pause(&mut self) -> bool {
        self.runtime.workflows.pause(self.number).expect("it is known")
    }

    pub fn cancel(&mut self) -> bool {
        let mut cancelling = Cancelling::new(self.number, Some("enough"));
        let ends = cancelling.step(&mut self.runtime, 0, Outcome::Start);
        matches!(ends, Ok(Next::Done(Output::Data(Data::Bool(true)))))
    }

    fn drive(&mut self, operation: Operation, meddle: &mut dyn FnMut(&mut Edge)) -> Result<Output> {
        self.outermost = self.runtime.tasks.start(operation, 0, false);
        self.ready.push((self.outermost, Outcome::Start));
        while self.outcome.is_none() {
            meddle(self);
            self.turn();
        }
        self.take_stops();
        // What is left of the branches comes to its end, if nobody is there to see it.
        while !self.ready.is_empty() {
            self.turn();
        }
        self.outcome.take().expect("it has ended")
    }

    fn turn(&mut self) {
        self.turns += 1;
        assert!(self.turns < TURNS, "it does not end");
        self.take_stops();
        assert!(!self.ready.is_empty(), "nothing can go on");
        let at = self.dice.below(self.ready.len());
        let (token, outcome) = self.ready.swap_remove(at);
        self.deliver(token, outcome);
        self.look();
    }

    fn take_stops(&mut self) {
        let clock = self.runtime.clock.clone();
        while let Ok(tasks::Next::Stop(token, why)) =
            self.runtime.tasks.next(&clock, Some(clock.now()))
        {
            self.stopped.insert(token, why);
            let within = |one: &Token| self.runtime.tasks.is_within(*one, token);
            let woken: Vec<Token> = self.waiting.iter().copied().filter(within).collect();
            for one in woken {
                self.waiting.remove(&one);
                self.ready.push((one, Outcome::Ready));
            }
        }
    }

    fn stop_of(&self, token: Token) -> Option<Stop> {
        let around = std::iter::once(token).chain(self.runtime.tasks.above(token));
        let mut reasons = around.filter_map(|one| self.stopped.get(&one));
        reasons.next().map(|why| Stop::Cancelled(Some(why.clone())))
    }

    /// The end of a child comes before a stop, as it does in Lua.
    fn deliver(&mut self, token: Token, outcome: Outcome) {
        let outcome = match (outcome, self.stop_of(token)) {
            (Outcome::Finished(outputs), _) => Outcome::Finished(outputs),
            (_, Some(stop)) => Outcome::Stop(stop),
            (outcome, None) => outcome,
        };
        let Some(running) = self.runtime.tasks.get_mut(token) else { return };
        let Some(mut machine) = running.machine.take() else { return };
        let next = machine.step(&mut self.runtime, token, outcome);
        match next {
            Ok(Next::Done(output)) => self.end(token, machine, Ok(output)),
            Err(error) => self.end(token, machine, Err(error)),
            Ok(next) => {
                if let Some(running) = self.runtime.tasks.get_mut(token) {
                    running.machine = Some(machine);
                }
                self.perform(token, next);
            }
        }
    }

    fn end(&mut self, token: Token, mut machine: Box<dyn Machine>, output: Result<Output>) {
        machine.ended(&mut self.runtime, output.as_ref());
        if token == self.outermost {
            self.runtime.tasks.remove(token);
            self.outcome = Some(output);
            return;
        }
        let parent = self.runtime.tasks.get_mut(token).map_or(0, |running| running.parent);
        self.runtime.tasks.end_inner(token, output);
        match self.inside.remove(&token) {
            Some(parent) => {
                let outputs = self.outputs(parent);
                self.ready.push((parent, Outcome::Finished(outputs)));
            }
            None if self.waiting.remove(&parent) => self.ready.push((parent, Outcome::Ready)),
            None => drop(self.posted.insert(parent)),
        }
    }

    fn outputs(&mut self, parent: Token) -> Vec<Result<Output>> {
        let Some(running) = self.runtime.tasks.get_mut(parent) else { return Vec::new() };
        running.ended.clear();
        let children = std::mem::take(&mut running.children);
        let take = |child: Token| {
            let output = self.runtime.tasks.get_mut(child).and_then(|one| one.output.take());
            self.runtime.abandon(child);
            output.expect("it has ended")
        };
        children.into_iter().map(take).collect()
    }

    fn perform(&mut self, token: Token, next: Next) {
        match next {
            Next::Wait(Some(_)) => self.ready.push((token, Outcome::Ready)),
            Next::Wait(None) if self.posted.remove(&token) || self.stop_of(token).is_some() => {
                self.ready.push((token, Outcome::Ready));
            }
            Next::Wait(None) => drop(self.waiting.insert(token)),
            Next::Scope(act) => {
                let outcome = self.act(act);
                self.ready.push((token, outcome));
            }
            Next::Run(operation) => {
                let child = self.begin(token, operation);
                self.inside.insert(child, token);
            }
            Next::Begin(operation) => {
                self.begin(token, operation);
                self.ready.push((token, Outcome::Ready));
            }
            _ => panic!("an execution asks for nothing else"),
        }
    }

    fn begin(&mut self, parent: Token, operation: Operation) -> Token {
        let width = match operation.name {
            "workflow_step" => self.plan.step(&operation.subject).map_or(0, |s| width(&s.does)),
            "workflow_execute" => width(&self.plan.definition.body),
            _ => 0,
        };
        let child = self.runtime.tasks.start(operation, parent, true);
        if let Some(running) = self.runtime.tasks.get_mut(parent) {
            running.children.push(child);
        }
        self.widths.insert(child, width);
        self.ready.push((child, Outcome::Start));
        child
    }

    fn look(&mut self) {
        let execution = self.runtime.workflows.execution(self.number).expect("it is known");
        self.watch.look(execution);
        let body = width(&self.plan.definition.body);
        for token in self.runtime.tasks.all() {
            let limit = self.widths.get(&token).copied().unwrap_or(body);
            let branches = self.branches(token);
            assert!(limit == 0 || branches <= limit, "{branches} side by side, of {limit}");
            self.watch.widest = self.watch.widest.max(branches);
        }
    }

    /// Those of a machine that are under way.
    fn branches(&mut self, token: Token) -> usize {
        let Some(running) = self.runtime.tasks.get_mut(token) else { return 0 };
        let children = running.children.clone();
        let mut goes_on = |child: &Token| {
            let running = self.runtime.tasks.get_mut(*child);
            running.is_some_and(|one| one.name == "workflow_branch" && one.output.is_none())
        };
        children.iter().filter(|child| goes_on(child)).count()
    }

    fn keep(&mut self, value: Option<Value>) -> Slot {
        let slot = self.runtime.slots.take();
        self.values.insert(slot.id(), value);
        slot
    }

    /// `None` is nil.
    pub fn value(&self, data: &Data) -> Option<Value> {
        Some(match data {
            Data::Nil => return None,
            Data::Bool(value) => json!(value),
            Data::Int(n) => json!(n),
            Data::Num(n) => json!(n),
            Data::Text(text) => json!(text),
            Data::Json(value) => value.clone(),
            Data::Slot(slot) => self.values.get(&slot.id()).cloned().flatten()?,
            Data::List(items) => {
                items.iter().map(|item| self.value(item).unwrap_or_default()).collect()
            }
            Data::Record(record) => Value::Object(self.members(record)),
            _ => json!("?"),
        })
    }

    fn members(&self, record: &Record) -> Map<String, Value> {
        let member = |(name, data): &(std::borrow::Cow<'static, str>, Data)| {
            Some((name.to_string(), self.value(data)?))
        };
        record.fields.iter().filter_map(member).collect()
    }

    fn returned(&mut self, value: Option<Value>, copies: bool) -> Outcome {
        let document = value.as_ref().filter(|_| copies).map(|value| {
            let mut document = Document::default();
            document.root = tape_json::put(value, &mut document.tape);
            Box::new(document)
        });
        let value = value.map(|value| self.keep(Some(value)));
        let text = Ok(String::new());
        Outcome::Returned(Returned { value, text, is_text: false, refusal: None, document })
    }

    /// What `scope.lua` does, for values that are data.
    fn act(&mut self, act: Act) -> Outcome {
        let own = |at: usize| act.operands.get(PLACE + at).unwrap_or(&Data::Nil);
        match act.name {
            "open" | "loop" => self.returned(Some(json!({})), false),
            "give" | "show" => {
                let value = self.value(own(0));
                self.returned(value, act.copies)
            }
            "record" => {
                let Data::Record(record) = own(1) else { panic!("a record") };
                let value = record.get("output").and_then(|output| self.value(output));
                self.returned(value, false)
            }
            "call" => self.call(own(0), &[own(3), own(4), own(5)]),
            "test" => match self.function(own(0)) {
                Function::Test(holds) => self.returned(Some(json!(holds)), act.copies),
                Function::Work { .. } => panic!("a condition"),
            },
            "judge" => {
                let holds = matches!(own(0), Data::Text(text) if text == "1 == 1");
                self.returned(Some(json!(holds)), act.copies)
            }
            "broken" => self.returned(Some(json!(false)), act.copies),
            "count" => {
                let value = self.value(own(0)).unwrap_or_default();
                self.returned(value.as_array().map(|items| json!(items.len())), act.copies)
            }
            "majority" => {
                let value = self.value(own(0)).unwrap_or_default();
                let most = most_frequent(value.as_array().map_or(&[], Vec::as_slice));
                self.returned(most, false)
            }
            "fields" => self.returned(Some(json!({})), act.copies),
            other => panic!("no act {other:?} is expected"),
        }
    }

    fn function(&self, data: &Data) -> Function {
        let Data::Slot(slot) = data else { panic!("a function") };
        *self.plan.functions.get(&slot.id()).expect("a function of the plan")
    }

    /// With what it learns: its input, the attempt, a key.
    fn call(&mut self, function: &Data, learned: &[&Data; 3]) -> Outcome {
        let Function::Work { fails } = self.function(function) else { panic!("work") };
        let [input, attempt, key] = learned.map(|one| self.value(one).unwrap_or_default());
        let attempt = attempt.as_u64().unwrap_or_default();
        *self.calls.entry(format!("{key} {attempt}")).or_default() += 1;
        if attempt <= u64::from(fails) {
            let value = self.keep(None);
            return Outcome::Raised(Raised { value, text: "no".into(), code: None });
        }
        let made = fingerprint(&format!("{key} {input}"));
        self.returned(Some(json!(made)), false)
    }

    /// What an execution is when nobody works on it.
    pub fn rests(&self) -> std::result::Result<(), Error> {
        let execution = self.runtime.workflows.execution(self.number)?;
        assert!(execution.under_way.is_empty(), "under way: {:?}", execution.under_way.keys());
        assert!(execution.token.is_none() && execution.current.is_none() && !execution.pause);
        assert!(self.ready.is_empty(), "something goes on");
        let left = self.runtime.tasks.all();
        assert!(left.is_empty(), "machines are left: {left:?}");
        Ok(())
    }
}

fn fingerprint(text: &str) -> u64 {
    let step = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step) % 1_000_000
}

/// The first of those that are there most often.
fn most_frequent(values: &[Value]) -> Option<Value> {
    let votes = |value: &Value| values.iter().filter(|other| *other == value).count();
    let most = values.iter().map(votes).max()?;
    values.iter().find(|value| votes(value) == most).cloned()
}
