//! Branches side by side: the steps of a `parallel`, the items of a `map`.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use serde_json::Value;

use super::chain::Chain;
use super::{over, paused};
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step as Next, Token, stopped};
use crate::value::{Data, Record, Slot};
use crate::workflow::definition::{Aggregation, Made, Steps, Wide};
use crate::workflow::execution::How;
use crate::workflow::frame::{Frame, value_of};
use crate::workflow::halted::Turns;

pub struct Fan {
    kind: Kind,
    wide: Wide,
    frame: Frame,
    branches: Vec<Branch>,
    /// Those that are under way.
    running: BTreeMap<Token, usize>,
    /// The branches before this one are not ahead any more.
    behind: usize,
    stage: Stage,
    /// The first one that failed.
    failure: Option<Error>,
    /// The first one that came to its end.
    winner: Option<usize>,
    /// It was the first, and that is recorded: no other one is wanted.
    first: Option<usize>,
    paused: bool,
}

enum Kind {
    Steps { steps: Steps, gathers: Aggregation, needs: Vec<Vec<usize>> },
    Items { over: Made, steps: Steps, id: Rc<str>, items: Option<Slot> },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The items are being made.
    Making,
    /// They are being read, for the journal.
    Keeping,
    /// They are counted.
    Counting,
    /// The table `loop` of a branch is being made.
    Turning(usize),
    /// A branch has begun just now.
    Beginning(usize),
    Waiting,
    /// What most branches have said is being looked for.
    Voting,
}

#[derive(Default)]
struct Branch {
    state: State,
    output: Data,
    /// Of an item: the table `loop`.
    turn: Option<Slot>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ahead,
    Running,
    /// It has stopped before its end.
    Paused,
    Over,
}

impl Fan {
    pub fn parallel(steps: Steps, gathers: Aggregation, wide: Wide, frame: Frame) -> Fan {
        let (branches, needs) = (steps.len(), needs_of(&steps));
        Fan::new(Kind::Steps { steps, gathers, needs }, branches, wide, frame)
    }

    pub fn map(over: Made, steps: Steps, wide: Wide, frame: Frame, id: Rc<str>) -> Fan {
        Fan::new(Kind::Items { over, steps, id, items: None }, 0, wide, frame)
    }

    fn new(kind: Kind, branches: usize, wide: Wide, frame: Frame) -> Fan {
        let branches = (0..branches).map(|_| Branch::default()).collect();
        let stage = Stage::Waiting;
        let (failure, winner, first, paused) = (None, None, None, false);
        let (running, behind) = (BTreeMap::new(), 0);
        Fan { kind, wide, frame, branches, running, behind, stage, failure, winner, first, paused }
    }

    fn start(&mut self, runtime: &mut Runtime) -> Result<Next> {
        let Kind::Items { over, id, .. } = &self.kind else {
            self.first = self.recorded_first(runtime);
            return self.go_on(runtime);
        };
        let path = self.frame.path(id);
        let kept = runtime.workflows.executions.get_mut(self.frame.execution)?;
        if let Some(kept) = kept.halted.take_turns(&path) {
            return self.take_up(runtime, kept);
        }
        self.stage = Stage::Making;
        if let Some(again) = over::again(runtime, &self.frame, id)? {
            return Ok(again);
        }
        let info = self.frame.info(id);
        self.frame.make(runtime, over, info)
    }

    /// It has stopped before.
    fn take_up(&mut self, runtime: &mut Runtime, mut kept: Turns) -> Result<Next> {
        if let Kind::Items { items, .. } = &mut self.kind {
            *items = kept.items;
        }
        let turn = |i| Branch { turn: kept.loops.remove(&i), ..Branch::default() };
        self.branches = (0..kept.total.unwrap_or_default()).map(turn).collect();
        self.go_on(runtime)
    }

    fn made(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        let value = value_of(outcome, "over")?;
        let Kind::Items { items, id, .. } = &mut self.kind else { return self.count(runtime) };
        if let Data::Slot(slot) = &value {
            *items = Some(slot.clone());
        }
        match over::read(runtime, &self.frame, id, &value)? {
            Some(read) => {
                self.stage = Stage::Keeping;
                Ok(read)
            }
            None => self.count(runtime),
        }
    }

    fn kept(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        if let Kind::Items { id, .. } = &self.kind {
            over::keep(runtime, &self.frame, id, outcome)?;
        }
        self.count(runtime)
    }

    fn count(&mut self, runtime: &mut Runtime) -> Result<Next> {
        let Kind::Items { items, .. } = &self.kind else {
            return Err(Error::internal("there are no items to count"));
        };
        self.stage = Stage::Counting;
        self.frame.ask_data(runtime, "count", [Data::from(items.clone())])
    }

    fn counted(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        let count = counted(outcome, "over")?;
        self.branches = (0..count).map(|_| Branch::default()).collect();
        self.go_on(runtime)
    }

    /// Begins what may begin, and waits for what has begun.
    fn go_on(&mut self, runtime: &mut Runtime) -> Result<Next> {
        self.stage = Stage::Waiting;
        let running = self.running.len();
        let stops = runtime.workflows.execution(self.frame.execution)?.halts();
        let more = !(stops || self.is_decided());
        let next = if more && running < self.wide.max_concurrency { self.ready() } else { None };
        if let Some(next) = next {
            return self.turn(runtime, next);
        }
        if running > 0 {
            return Ok(Next::Wait(None));
        }
        if !self.is_decided() && (self.paused || self.ready().is_some()) {
            return self.halt(runtime);
        }
        match self.failure.take() {
            Some(error) if !self.is_won() => Err(error),
            _ => self.gather(runtime),
        }
    }

    /// It stops: what its items have seen goes on with it.
    fn halt(&mut self, runtime: &mut Runtime) -> Result<Next> {
        if let Kind::Items { id, items, .. } = &mut self.kind {
            let stood = self.branches.iter_mut().enumerate();
            let stood = stood.filter(|(_, branch)| branch.state != State::Over);
            let loops = stood.filter_map(|(i, branch)| Some((i, branch.turn.take()?))).collect();
            let turns = Turns { items: items.take(), total: Some(self.branches.len()), loops };
            let path = self.frame.path(id);
            let execution = runtime.workflows.executions.get_mut(self.frame.execution)?;
            execution.halted.keep_turns(path, turns);
        }
        Ok(Next::Done(paused()))
    }

    /// No further branch is to begin.
    fn is_decided(&self) -> bool {
        self.failure.is_some() && self.wide.fail_fast || self.is_won()
    }

    /// One was wanted, and is there.
    fn is_won(&self) -> bool {
        matches!(self.kind, Kind::Steps { gathers: Aggregation::First, .. })
            && self.winner.is_some()
    }

    /// A branch that may begin: what it depends on is over.
    fn ready(&mut self) -> Option<usize> {
        let is_ahead = |branch: &Branch| branch.state == State::Ahead;
        while self.branches.get(self.behind).is_some_and(|branch| !is_ahead(branch)) {
            self.behind += 1;
        }
        let ahead = self.branches.iter().enumerate().skip(self.behind);
        let mut ahead = ahead.filter(|(_, branch)| is_ahead(branch)).map(|(i, _)| i);
        ahead.find(|i| self.may_begin(*i))
    }

    fn recorded_first(&self, runtime: &Runtime) -> Option<usize> {
        let Kind::Steps { gathers: Aggregation::First, steps, .. } = &self.kind else {
            return None;
        };
        (0..steps.len()).find(|i| executed(&self.kind, runtime, &self.frame, *i))
    }

    fn may_begin(&self, i: usize) -> bool {
        if self.first.is_some_and(|first| first != i) {
            return false;
        }
        let Kind::Steps { needs, .. } = &self.kind else { return true };
        let is_over = |at: &usize| self.branches.get(*at).is_none_or(|b| b.state == State::Over);
        needs.get(i).is_none_or(|needs| needs.iter().all(is_over))
    }

    fn turn(&mut self, runtime: &mut Runtime, i: usize) -> Result<Next> {
        let Kind::Items { items, id, .. } = &self.kind else { return Ok(self.begin(i, None)) };
        self.stage = Stage::Turning(i);
        if let Some(turn) = self.branches.get_mut(i).and_then(|branch| branch.turn.take()) {
            return self.frame.ask(runtime, "give", [Data::Slot(turn)]);
        }
        let total = Data::from(self.branches.len());
        let (number, items) = (Data::from(i + 1), Data::from(items.clone()));
        self.frame.ask(runtime, "loop", [number, items, total, Data::from(id.as_ref())])
    }

    fn begin(&mut self, i: usize, turn: Option<Slot>) -> Next {
        let chain = match &self.kind {
            Kind::Steps { steps, .. } => {
                let step = steps.get(i).cloned();
                Chain::beside(step.into_iter().collect(), self.frame.clone())
            }
            Kind::Items { steps, id, .. } => {
                if let Some(branch) = self.branches.get_mut(i) {
                    branch.turn = turn.clone();
                }
                Chain::beside(steps.clone(), self.frame.within(id, i + 1, turn))
            }
        };
        self.stage = Stage::Beginning(i);
        Next::Begin(Operation::new("workflow_branch", chain))
    }

    fn begun(&mut self, runtime: &mut Runtime, me: Token, i: usize) -> Result<Next> {
        if let (Some(branch), Some(token)) =
            (self.branches.get_mut(i), runtime.tasks.newest_child(me))
        {
            branch.state = State::Running;
            self.running.insert(token, i);
        }
        self.look(runtime, me)
    }

    /// Takes what has ended.
    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        for (token, output) in runtime.tasks.take_ended(me) {
            let Some(i) = self.running.remove(&token) else { continue };
            self.came_back(runtime, i, output)?;
        }
        if self.is_decided() {
            let why =
                if self.failure.is_some() { "another branch failed" } else { "another was first" };
            self.running.keys().for_each(|token| runtime.tasks.stop(*token, why));
        }
        self.go_on(runtime)
    }

    fn came_back(&mut self, runtime: &mut Runtime, i: usize, output: Result<Output>) -> Result<()> {
        let Some(branch) = self.branches.get_mut(i) else { return Ok(()) };
        branch.state = State::Over;
        match output {
            Ok(Output::Paused { .. }) => {
                branch.state = State::Paused;
                self.paused = true;
            }
            Ok(output) => {
                branch.turn = None;
                branch.output = output.into_data();
                if self.winner.is_none() && executed(&self.kind, runtime, &self.frame, i) {
                    self.winner = Some(i);
                }
            }
            // Those that were stopped because of another one say nothing new.
            Err(error) if error.code() == Code::Cancelled && self.is_decided() => {}
            Err(error) => drop(self.failure.get_or_insert(error)),
        }
        Ok(())
    }

    fn gather(&mut self, runtime: &mut Runtime) -> Result<Next> {
        let outputs = match &self.kind {
            Kind::Items { .. } => {
                let outputs = self.branches.iter_mut().map(|b| std::mem::take(&mut b.output));
                array(outputs.map(or_null).collect())
            }
            Kind::Steps { gathers: Aggregation::First, .. } => {
                let winner = self.winner.and_then(|i| self.branches.get_mut(i));
                winner.map_or(Data::Nil, |branch| std::mem::take(&mut branch.output))
            }
            Kind::Steps { steps, gathers: Aggregation::All, .. } => {
                let mut table = Record::sized(steps.len());
                for (i, (step, branch)) in steps.iter().zip(&self.branches).enumerate() {
                    if executed(&self.kind, runtime, &self.frame, i) {
                        table.put(step.id.to_string(), branch.output.clone());
                    }
                }
                table.into()
            }
            Kind::Steps { .. } => return self.vote(runtime),
        };
        Ok(Next::Done(Output::Data(outputs)))
    }

    fn vote(&mut self, runtime: &mut Runtime) -> Result<Next> {
        self.stage = Stage::Voting;
        let ran =
            (0..self.branches.len()).filter(|i| executed(&self.kind, runtime, &self.frame, *i));
        let outputs = ran.filter_map(|i| self.branches.get(i)).map(|b| or_null(b.output.clone()));
        let outputs = Data::List(outputs.collect());
        self.frame.ask(runtime, "majority", [outputs])
    }
}

/// For each step the numbers of those it depends on, of the same list.
fn needs_of(steps: &Steps) -> Vec<Vec<usize>> {
    let numbers: HashMap<&str, usize> =
        steps.iter().enumerate().map(|(i, step)| (&*step.id, i)).collect();
    let number = |id: &String| numbers.get(id.as_str()).copied();
    steps.iter().map(|step| step.depends_on.iter().filter_map(number).collect()).collect()
}

/// An array, also where it has no items.
pub fn array(items: Vec<Data>) -> Data {
    if items.is_empty() { Data::Json(Value::Array(Vec::new())) } else { Data::List(items) }
}

/// A place in an array is not left empty.
pub fn or_null(data: Data) -> Data {
    match data {
        Data::Nil => Data::Json(Value::Null),
        data => data,
    }
}

/// Whether the step of a branch has come to an end, and was not skipped.
fn executed(kind: &Kind, runtime: &Runtime, frame: &Frame, i: usize) -> bool {
    let Kind::Steps { steps, .. } = kind else { return true };
    let execution = runtime.workflows.execution(frame.execution);
    let (Some(step), Ok(execution)) = (steps.get(i), execution) else { return false };
    let ended = execution.ended.get(&frame.path(&step.id));
    ended.is_some_and(|ended| match ended.how {
        How::Completed => true,
        How::Failed => !matches!(ended.output, Data::Nil),
        How::Skipped | How::Cancelled => false,
    })
}

/// How many there are in what has to be an array; `count` of `scope.lua` says what came instead.
pub fn counted(outcome: Outcome, what: &str) -> Result<usize> {
    let document = match outcome {
        Outcome::Returned(returned) => returned.document,
        outcome => return value_of(outcome, what).and_then(|_| Err(Error::internal("no count"))),
    };
    let value = document.as_ref().and_then(|document| document.value());
    if let Some(count) = value.and_then(|value| value.as_f64()) {
        return Ok(count as usize);
    }
    let got = value.and_then(|value| value.as_str()).unwrap_or("something else");
    let message = format!("{what}: expected an array of items, got {got}");
    Err(Error::new(Code::ValidationFailed, message))
}

impl Machine for Fan {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        if let Outcome::Stop(stop) = &outcome {
            return Err(stopped(stop, "the workflow"));
        }
        match (self.stage, outcome) {
            (_, Outcome::Start) => self.start(runtime),
            (Stage::Making, outcome) => self.made(runtime, outcome),
            (Stage::Keeping, outcome) => self.kept(runtime, outcome),
            (Stage::Counting, outcome) => self.counted(runtime, outcome),
            (Stage::Turning(i), outcome) => match value_of(outcome, "loop")? {
                Data::Slot(turn) => Ok(self.begin(i, Some(turn))),
                _ => Err(Error::internal("a turn without its table")),
            },
            (Stage::Beginning(i), _) => self.begun(runtime, me, i),
            (Stage::Voting, outcome) => {
                Ok(Next::Done(Output::Data(value_of(outcome, "majority")?)))
            }
            (Stage::Waiting, _) => self.look(runtime, me),
        }
    }

    fn abandon(&mut self, runtime: &mut Runtime, _: Token) {
        let why = "what was around it has ended";
        self.running.keys().for_each(|token| runtime.tasks.stop(*token, why));
    }
}
