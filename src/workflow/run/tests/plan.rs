//! Workflows that nobody would write, and what their functions do.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::dice::Dice;
use crate::value::{Slot, Slots};
use crate::workflow::definition::{
    Aggregation, Does, Looping, Made, Over, Pattern, Retry, Step, Steps, Test, Wide, order,
};
use crate::workflow::{Condition, Definition};

/// Attempts that all fail.
pub const ALWAYS: u32 = u32::MAX;

#[derive(Clone, Copy)]
pub enum Function {
    /// Makes a number of what it is given, after so many attempts that fail.
    Work {
        fails: u32,
    },
    Test(bool),
}

pub struct Plan {
    pub definition: Rc<Definition>,
    /// By the numbers of their slots.
    pub functions: HashMap<i64, Function>,
    /// For as long as their numbers are to mean something.
    _slots: Vec<Slot>,
}

/// What may be in a workflow.
#[derive(Clone, Copy)]
pub struct Traits {
    /// Who is faster decides nothing.
    pub calm: bool,
    /// One of so many functions fails in every attempt; 0: none fails in its last one.
    pub failing: usize,
}

impl Plan {
    pub fn grow(seed: u64, traits: Traits, slots: &mut Slots) -> Plan {
        let (dice, functions) = (Dice::new(seed), HashMap::new());
        let mut grower = Grower { dice, slots, functions, kept: Vec::new(), count: 0, traits };
        let (pattern, body) = grower.body();
        let goes_on = grower.dice.one_in(8);
        let definition = Definition {
            name: None,
            description: String::new(),
            version: String::new(),
            metadata: None,
            pattern,
            body,
            input_schema: None,
            output_schema: None,
            variables: Map::new(),
            timeout_ms: None,
            goes_on,
            keep: 100,
            count: grower.count,
        };
        let Grower { functions, kept, .. } = grower;
        Plan { definition: Rc::new(definition), functions, _slots: kept }
    }

    /// A step by its id.
    pub fn step(&self, id: &str) -> Option<Rc<Step>> {
        find(&self.definition.body, id)
    }
}

fn find(does: &Does, id: &str) -> Option<Rc<Step>> {
    does.inner().find_map(|step| match &*step.id == id {
        true => Some(step.clone()),
        false => find(&step.does, id),
    })
}

pub fn width(does: &Does) -> usize {
    match does {
        Does::Parallel { wide, .. } | Does::Map { wide, .. } => wide.max_concurrency,
        _ => 0,
    }
}

struct Grower<'s> {
    dice: Dice,
    slots: &'s mut Slots,
    functions: HashMap<i64, Function>,
    kept: Vec<Slot>,
    count: usize,
    traits: Traits,
}

impl Grower<'_> {
    fn body(&mut self) -> (Pattern, Does) {
        let pattern = Pattern::ALL[self.dice.below(4)];
        let steps = match pattern {
            // One of them is run: it depends on none.
            Pattern::Conditional => self.steps(3).into_iter().map(Rc::new).collect(),
            _ => self.list(3),
        };
        let body = match pattern {
            Pattern::Sequential => Does::Sequence(sorted(steps)),
            Pattern::Parallel => self.parallel(steps),
            Pattern::Conditional => Does::Choice(steps),
            Pattern::Loop => self.looping(steps),
        };
        (pattern, body)
    }

    fn slot(&mut self, function: Function) -> Slot {
        let slot = self.slots.take();
        self.functions.insert(slot.id(), function);
        self.kept.push(slot.clone());
        slot
    }

    /// Steps of which some depend on others, maybe on later ones.
    fn list(&mut self, depth: usize) -> Steps {
        let mut steps = self.steps(depth);
        let count = steps.len();
        let ids: Vec<String> = steps.iter().map(|step| step.id.to_string()).collect();
        let backwards = self.dice.one_in(2);
        for (at, step) in steps.iter_mut().enumerate() {
            let others = if backwards { at + 1..count } else { 0..at };
            let chosen = others.filter(|_| self.dice.one_in(3)).filter_map(|on| ids.get(on));
            step.depends_on = chosen.cloned().collect();
        }
        steps.into_iter().map(Rc::new).collect()
    }

    fn steps(&mut self, depth: usize) -> Vec<Step> {
        (0..self.dice.below(5)).map(|at| self.step(at, depth)).collect()
    }

    fn step(&mut self, at: usize, depth: usize) -> Step {
        self.count += 1;
        let id = format!("s{}", self.count);
        let attempts = 1 + self.dice.below(3) as u32;
        let does = self.does(depth, attempts);
        let is_calm_box = self.traits.calm && does.inner().next().is_some();
        let attempts = if is_calm_box { 1 } else { attempts };
        Step {
            id: id.into(),
            title: None,
            number: at + 1,
            does,
            input: self.dice.one_in(4).then(|| Made::Plain(json!(self.count))),
            depends_on: Vec::new(),
            when: self.dice.one_in(4).then(|| self.test()),
            retry: Retry { max_attempts: attempts, backoff_ms: 0.0, multiplier: 1.0 },
            timeout_ms: None,
            goes_on: self.dice.one_in(4).then(|| self.dice.one_in(2)),
            default: self.dice.one_in(3).then(|| json!("default")),
            output: None,
            idempotent: false,
            on_unknown: None,
            metadata: None,
        }
    }

    fn test(&mut self) -> Test {
        let holds = !self.dice.one_in(3);
        if self.dice.one_in(2) {
            return Test::Called(self.slot(Function::Test(holds)));
        }
        let text = if holds { "1 == 1" } else { "1 == 2" };
        Test::Says(Box::new(Condition::parse(text).expect("a condition")))
    }

    fn does(&mut self, depth: usize, attempts: u32) -> Does {
        let kinds = if depth == 0 { 4 } else { 9 };
        match self.dice.below(kinds) {
            0 => Does::Delay { ms: 0.0, jitter_percent: 0.0 },
            1 => Does::Transform(Made::Plain(json!({ "made": self.count }))),
            4 => Does::Sequence(sorted(self.list(depth - 1))),
            5 => {
                let steps = self.list(depth - 1);
                self.parallel(steps)
            }
            6 => Does::Branch {
                test: self.test(),
                then: sorted(self.list(depth - 1)),
                otherwise: sorted(self.list(depth - 1)),
            },
            7 => {
                let steps = self.list(depth - 1);
                self.looping(steps)
            }
            8 => Does::Map {
                over: Made::Plain(Value::Array(vec![json!("item"); self.dice.below(5)])),
                steps: sorted(self.list(depth - 1)),
                wide: self.wide(),
            },
            _ => Does::Function(self.work(attempts)),
        }
    }

    fn work(&mut self, attempts: u32) -> Slot {
        let fails = match self.traits.failing {
            0 => self.dice.below(attempts as usize) as u32,
            n if self.dice.one_in(n) => ALWAYS,
            _ => self.dice.below(3) as u32 / 2,
        };
        self.slot(Function::Work { fails })
    }

    fn parallel(&mut self, steps: Steps) -> Does {
        let gathers = match self.dice.below(4) {
            0 if !self.traits.calm => Aggregation::First,
            1 => Aggregation::Majority,
            _ => Aggregation::All,
        };
        Does::Parallel { steps, gathers, wide: self.wide() }
    }

    fn wide(&mut self) -> Wide {
        let fail_fast = !self.traits.calm && self.dice.one_in(2);
        Wide { max_concurrency: 1 + self.dice.below(3), fail_fast }
    }

    fn looping(&mut self, steps: Steps) -> Does {
        let most = 1 + self.dice.below(3) as u64;
        let over = match self.dice.below(3) {
            0 => Over::Items(Made::Plain(Value::Array(vec![json!(1); self.dice.below(4)]))),
            1 => Over::Count(Made::Plain(json!(self.dice.below(4)))),
            _ => Over::While(self.test()),
        };
        let bounded = !matches!(over, Over::While(_));
        Does::Loop(Rc::new(Looping {
            steps: sorted(steps),
            over,
            until: self.dice.one_in(4).then(|| self.test()),
            max_iterations: (!bounded).then_some(most),
            delay_ms: 0.0,
            breaks_on_error: self.traits.calm || self.dice.one_in(2),
        }))
    }
}

/// As steps that follow each other are kept.
fn sorted(steps: Steps) -> Steps {
    order(&steps).into_iter().filter_map(|at| steps.get(at).cloned()).collect()
}
