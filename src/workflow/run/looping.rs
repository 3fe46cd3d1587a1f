//! Steps again and again.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::chain::Chain;
use super::fan::{array, counted, or_null};
use super::{only, over, paused};
use crate::clock::Moment;
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::shape::shown;
use crate::step::{Machine, Outcome, Output, Step as Next, Token, stopped};
use crate::value::{Data, Slot};
use crate::workflow::control::refusal;
use crate::workflow::definition::{Looping, Over};
use crate::workflow::durable::{BREAK, Durable, END};
use crate::workflow::execution::{Ended, Execution, How};
use crate::workflow::frame::{Frame, Previous, truth_of, value_of};
use crate::workflow::halted::Turns;

pub struct Loop {
    looping: Rc<Looping>,
    /// Of the step that it belongs to; "" at the top.
    id: Rc<str>,
    frame: Frame,
    stage: Stage,
    /// What it goes over, or how often.
    over: Data,
    items: Option<Slot>,
    /// So many iterations, if that is known before.
    total: Option<usize>,
    /// From 1 on.
    number: usize,
    turn: Option<Slot>,
    /// Of iterations that had begun when it stopped.
    turns: BTreeMap<usize, Slot>,
    chain: Option<Chain>,
    outputs: Vec<Data>,
    /// How the iteration has ended whose output is being given its place.
    ending: Option<How>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// What it goes over is being made.
    Making,
    /// It is being read, for the journal.
    Keeping,
    Counting,
    /// The table `loop` is being made.
    Turning,
    /// Whether there is another iteration.
    Testing,
    Working,
    /// The output of the iteration is being given its place.
    Noting,
    /// Whether a step has ended the loop.
    Asking,
    /// Whether that was the last one.
    Ending,
    /// The journal is brought up to this entry, before it rests.
    Saving(u64),
    Resting(Moment),
}

/// Why a loop ends, as far as somebody has to decide that.
const CONDITION_FALSE: &str = "condition_false";
const EXPLICIT_BREAK: &str = "explicit_break";
const NATURALLY: &str = "completed_naturally";
const REASONS: [&str; 3] = [CONDITION_FALSE, EXPLICIT_BREAK, NATURALLY];

impl Loop {
    pub fn new(looping: Rc<Looping>, frame: Frame, id: Rc<str>) -> Loop {
        Loop {
            looping,
            id,
            frame,
            stage: Stage::Making,
            over: Data::Nil,
            items: None,
            total: None,
            number: 0,
            turn: None,
            turns: BTreeMap::new(),
            chain: None,
            outputs: Vec::new(),
            ending: None,
        }
    }

    fn execution<'r>(&self, runtime: &'r mut Runtime) -> Result<&'r mut Execution> {
        runtime.workflows.executions.get_mut(self.frame.execution)
    }

    /// The frame of an iteration.
    fn inside(&self) -> Frame {
        self.frame.within(&self.id, self.number, self.turn.clone())
    }

    /// The path of an iteration as a whole.
    fn path(&self) -> Rc<str> {
        format!("{}{}[{}]", self.frame.place, self.id, self.number).into()
    }

    fn start(&mut self, runtime: &mut Runtime) -> Result<Next> {
        let path = self.frame.path(&self.id);
        if let Some(kept) = self.execution(runtime)?.halted.take_turns(&path) {
            (self.items, self.total, self.turns) = (kept.items, kept.total, kept.loops);
            return self.next(runtime);
        }
        let (Over::Items(made) | Over::Count(made)) = &self.looping.over else {
            return self.next(runtime);
        };
        if let Some(again) = over::again(runtime, &self.frame, &self.id)? {
            return Ok(again);
        }
        let info = self.frame.info(&self.id);
        self.frame.make(runtime, made, info)
    }

    fn made(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        self.over = value_of(outcome, if self.counts() { "count" } else { "items" })?;
        if let Some(read) = over::read(runtime, &self.frame, &self.id, &self.over)? {
            self.stage = Stage::Keeping;
            return Ok(read);
        }
        self.count(runtime)
    }

    fn counts(&self) -> bool {
        matches!(self.looping.over, Over::Count(_))
    }

    fn kept(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        over::keep(runtime, &self.frame, &self.id, outcome)?;
        self.count(runtime)
    }

    fn count(&mut self, runtime: &mut Runtime) -> Result<Next> {
        self.stage = Stage::Counting;
        let value = std::mem::take(&mut self.over);
        if self.counts() {
            return self.frame.ask_data(runtime, "give", [value]);
        }
        if let Data::Slot(slot) = &value {
            self.items = Some(slot.clone());
        }
        self.frame.ask_data(runtime, "count", [value])
    }

    fn counted(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        let total = match &self.looping.over {
            Over::Count(_) => said(outcome)?,
            _ => counted(outcome, "items")?,
        };
        self.total = Some(total);
        self.next(runtime)
    }

    /// The next iteration, if there is one.
    fn next(&mut self, runtime: &mut Runtime) -> Result<Next> {
        loop {
            self.number += 1;
            if self.total.is_some_and(|total| self.number > total) {
                return self.end(runtime, NATURALLY);
            }
            if self.looping.max_iterations.is_some_and(|most| self.number as u64 > most) {
                return self.end(runtime, "max_iterations_reached");
            }
            let path = self.path();
            let execution = self.execution(runtime)?;
            let Some(ended) = execution.ended.get(&path).cloned() else { break };
            self.take(&ended);
        }
        if self.judged(runtime)? == Some(Some(CONDITION_FALSE)) {
            return self.end(runtime, CONDITION_FALSE);
        }
        if let Some(reason) = &self.execution(runtime)?.cancelled {
            return Err(refusal(reason));
        }
        if self.execution(runtime)?.halts() {
            return self.halt(runtime, None);
        }
        self.stage = Stage::Turning;
        if let Some(turn) = self.turns.remove(&self.number) {
            return self.frame.ask(runtime, "give", [Data::Slot(turn)]);
        }
        let (items, total) = (Data::from(self.items.clone()), Data::from(self.total));
        self.frame.ask(runtime, "loop", [Data::from(self.number), items, total])
    }

    /// Where it is recorded that the loop ends with this iteration, or goes on: why it ends.
    fn judged(&self, runtime: &mut Runtime) -> Result<Option<Option<&'static str>>> {
        let path = format!("{}{END}", self.path());
        let Some(said) = self.execution(runtime)?.decided.get(path.as_str()) else {
            return Ok(None);
        };
        let said = said.as_str().unwrap_or_default();
        Ok(Some(REASONS.into_iter().find(|reason| *reason == said)))
    }

    /// Whether it goes on is decided once.
    fn judge(&self, runtime: &mut Runtime, reason: Option<&'static str>) -> Result<()> {
        let path = format!("{}{END}", self.path());
        let execution = self.execution(runtime)?;
        if execution.durable.is_some() {
            execution.decide(&path, reason.into());
        }
        Ok(())
    }

    fn take(&mut self, ended: &Ended) {
        if ended.how == How::Completed {
            self.frame.previous = Previous {
                id: self.looping.steps.last().map(|step| step.id.clone()),
                output: ended.output.clone(),
            };
        }
        self.outputs.push(or_null(ended.output.clone()));
    }

    /// It stops: what it has goes on with it.
    fn halt(&mut self, runtime: &mut Runtime, turn: Option<(usize, Slot)>) -> Result<Next> {
        let (items, total) = (self.items.take(), self.total);
        let mut loops = std::mem::take(&mut self.turns);
        loops.extend(turn);
        let turns = Turns { items, total, loops };
        let path = self.frame.path(&self.id);
        self.execution(runtime)?.halted.keep_turns(path, turns);
        Ok(Next::Done(paused()))
    }

    fn turned(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        if let Data::Slot(turn) = value_of(outcome, "loop")? {
            self.turn = Some(turn);
        }
        let Over::While(test) = &self.looping.over else { return self.work(runtime, me) };
        let path = self.path();
        if self.execution(runtime)?.decided.contains_key(&path) {
            return self.work(runtime, me);
        }
        self.stage = Stage::Testing;
        let info = self.frame.info(&self.id);
        self.inside().test(runtime, test, info)
    }

    fn tested(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        if truth_of(outcome, "the condition of the loop")? {
            let path = self.path();
            self.execution(runtime)?.decide(&path, true.into());
            return self.work(runtime, me);
        }
        self.judge(runtime, Some(CONDITION_FALSE))?;
        self.end(runtime, CONDITION_FALSE)
    }

    fn work(&mut self, runtime: &mut Runtime, me: Token) -> Result<Next> {
        self.stage = Stage::Working;
        self.chain = Some(Chain::new(self.looping.steps.clone(), self.inside()));
        self.forward(runtime, me, Outcome::Start)
    }

    fn forward(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        let chain = self.chain.as_mut().ok_or_else(|| Error::internal("no iteration goes on"))?;
        match chain.step(runtime, me, outcome) {
            Ok(Next::Done(Output::Paused { .. })) => {
                let turn = self.turn.take().map(|turn| (self.number, turn));
                self.halt(runtime, turn)
            }
            Ok(Next::Done(output)) => self.note(runtime, How::Completed, output.into_data()),
            Err(_) if !self.looping.breaks_on_error => self.note(runtime, How::Failed, Data::Nil),
            Err(error) => {
                if self.id.is_empty() {
                    let late = error.code() == Code::Timeout;
                    let reason = if late { "timeout" } else { "iteration_error" };
                    self.tell(runtime, reason)?;
                }
                Err(error)
            }
            going => going,
        }
    }

    fn note(&mut self, runtime: &mut Runtime, how: How, output: Data) -> Result<Next> {
        self.stage = Stage::Noting;
        self.chain = None;
        self.ending = Some(how);
        self.frame.ask(runtime, "give", [output])
    }

    fn noted(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        let output = value_of(outcome, "the iteration")?;
        let how = self.ending.take().unwrap_or(How::Completed);
        let ended = Rc::new(Ended { how, output, ..Ended::skipped() });
        let path = self.path();
        let execution = self.execution(runtime)?;
        let broken = execution.decided.contains_key(format!("{path}.{BREAK}").as_str());
        execution.forget_inside(&format!("{path}."));
        execution.decided.remove(&path);
        execution.ended.insert(path, ended.clone());
        self.take(&ended);
        match self.judged(runtime)? {
            Some(Some(reason)) => return self.end(runtime, reason),
            Some(None) => return self.next(runtime),
            None if broken => return self.breaks(runtime),
            None => {}
        }
        self.stage = Stage::Asking;
        self.inside().ask_data(runtime, "broken", [])
    }

    fn asked(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        if truth_of(outcome, "break_loop")? {
            return self.breaks(runtime);
        }
        let Some(test) = &self.looping.until else { return self.rest(runtime) };
        self.stage = Stage::Ending;
        let info = self.frame.info(&self.id);
        self.inside().test(runtime, test, info)
    }

    /// A step has ended it.
    fn breaks(&mut self, runtime: &mut Runtime) -> Result<Next> {
        self.judge(runtime, Some(EXPLICIT_BREAK))?;
        self.end(runtime, EXPLICIT_BREAK)
    }

    fn last(&mut self, runtime: &mut Runtime, outcome: Outcome) -> Result<Next> {
        if truth_of(outcome, "until_condition")? {
            self.judge(runtime, Some(NATURALLY))?;
            return self.end(runtime, NATURALLY);
        }
        self.rest(runtime)
    }

    /// Whether no condition can bring another iteration.
    fn is_last(&self) -> bool {
        self.total.is_some_and(|total| self.number >= total)
            || self.looping.max_iterations.is_some_and(|most| self.number as u64 >= most)
    }

    fn rest(&mut self, runtime: &mut Runtime) -> Result<Next> {
        self.judge(runtime, None)?;
        if self.looping.delay_ms <= 0.0 || self.is_last() {
            return self.next(runtime);
        }
        let durable = self.execution(runtime)?.durable.as_ref();
        match durable.and_then(Durable::commit) {
            Some((commit, up_to)) => {
                self.stage = Stage::Saving(up_to);
                Ok(Next::Run(commit))
            }
            None => self.sleep(runtime),
        }
    }

    fn saved(&mut self, runtime: &mut Runtime, up_to: u64, ended: Result<Output>) -> Result<Next> {
        if let Some(durable) = &self.execution(runtime)?.durable {
            durable.committed(up_to, ended.map(drop))?;
        }
        self.sleep(runtime)
    }

    fn sleep(&mut self, runtime: &mut Runtime) -> Result<Next> {
        let until = runtime.clock.now().after_float_ms(self.looping.delay_ms);
        self.stage = Stage::Resting(until);
        Ok(Next::Wait(Some(until)))
    }

    fn tell(&self, runtime: &mut Runtime, reason: &'static str) -> Result<()> {
        let iterations = self.outputs.len();
        let execution = self.execution(runtime)?;
        if self.id.is_empty() {
            (execution.iterations, execution.break_reason) = (Some(iterations), Some(reason));
        }
        Ok(())
    }

    fn end(&mut self, runtime: &mut Runtime, reason: &'static str) -> Result<Next> {
        self.tell(runtime, reason)?;
        let outputs = std::mem::take(&mut self.outputs);
        Ok(Next::Done(Output::Data(array(outputs))))
    }
}

/// The count that was made.
fn said(outcome: Outcome) -> Result<usize> {
    let returned = match outcome {
        Outcome::Returned(returned) => returned,
        outcome => {
            return value_of(outcome, "count").and_then(|_| Err(Error::internal("no count")));
        }
    };
    let value = returned.document.as_ref().and_then(|document| document.value());
    let number = value.and_then(|value| match value.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => value.as_f64(),
    });
    number.filter(|n: &f64| n.fract() == 0.0 && *n >= 0.0).map(|n| n as usize).ok_or_else(|| {
        let other = if returned.value.is_none() { "nil" } else { "what is no number" };
        let got = value.map_or_else(|| other.into(), shown);
        let message = format!("count: expected an integer from 0 on, got {got}");
        Error::new(Code::ValidationFailed, message)
    })
}

impl Machine for Loop {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Next> {
        if let Outcome::Stop(stop) = &outcome {
            if self.id.is_empty() && *stop == crate::step::Stop::Deadline {
                self.tell(runtime, "timeout")?;
            }
            self.abandon(runtime, me);
            return Err(stopped(stop, "the workflow"));
        }
        match (self.stage, outcome) {
            (Stage::Making, Outcome::Start) => self.start(runtime),
            (Stage::Making, outcome) => self.made(runtime, outcome),
            (Stage::Keeping, outcome) => self.kept(runtime, outcome),
            (Stage::Counting, outcome) => self.counted(runtime, outcome),
            (Stage::Turning, outcome) => self.turned(runtime, me, outcome),
            (Stage::Testing, outcome) => self.tested(runtime, me, outcome),
            (Stage::Working, outcome) => self.forward(runtime, me, outcome),
            (Stage::Noting, outcome) => self.noted(runtime, outcome),
            (Stage::Asking, outcome) => self.asked(runtime, outcome),
            (Stage::Ending, outcome) => self.last(runtime, outcome),
            (Stage::Saving(up_to), Outcome::Finished(outputs)) => {
                self.saved(runtime, up_to, only(outputs))
            }
            (Stage::Saving(_), _) => Err(Error::internal("a loop waits for its journal only")),
            (Stage::Resting(until), _) if runtime.clock.now() < until => {
                Ok(Next::Wait(Some(until)))
            }
            (Stage::Resting(_), _) => self.next(runtime),
        }
    }

    fn abandon(&mut self, runtime: &mut Runtime, me: Token) {
        if let Some(mut chain) = self.chain.take() {
            chain.abandon(runtime, me);
        }
    }
}
