//! Which reading of the empty Lua tables in a value makes it fit: `{}` may be an array or an object.
//!
//! A keyword looks at nothing but the value it stands for, so an error can only be mended by empty
//! tables at or below its place. Those that an error names directly are turned round by round;
//! what alternatives (`anyOf`, `oneOf`, `not`, `contains`) hide is searched with a limited effort.

use std::collections::HashMap;

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{ValidationError, Validator};

use super::node::{OnTape, patiently};
use super::places::Places;
use crate::value::{Kind as Node, Ref, Tape};

/// Turns of directly named tables; each round can only uncover what the one before hid.
const ROUNDS: usize = 16;
/// Validations a search behind alternatives may take.
const EFFORT: usize = 200;
/// All of that may take as many looks as so many lists of errors.
const LISTINGS: usize = 5;
/// Tables tried one by one where an alternative does not say which is wrong.
const SINGLES: usize = 12;

/// A copy of a value whose empty tables are decided.
pub struct Reading {
    tape: Tape,
    at: usize,
    /// Positions of the tables that were taken for arrays.
    pub arrays: Vec<usize>,
    pub valid: bool,
}

impl Reading {
    pub fn value(&self) -> Ref<'_> {
        self.tape.view(self.at)
    }
}

/// The reading that fits, or the one whose errors are worth reporting; `None` if there is no
/// empty table, or no end of the errors.
pub fn settle(validator: &Validator<OnTape>, value: Ref<'_>, looks: usize) -> Option<Reading> {
    value.empties().next()?;
    let mut search =
        Search { validator, tape: value.tape().clone(), at: value.position(), effort: EFFORT };
    let valid = patiently(looks.saturating_mul(LISTINGS), || {
        search.turn_named();
        let valid = search.turn_hidden();
        if !valid {
            search.turn_single();
        }
        valid
    })?;
    let is_array = |at: &usize| search.tape.view(*at).kind() == Node::Array;
    let arrays = value.empties().filter(is_array).collect();
    Some(Reading { at: search.at, tape: search.tape, arrays, valid })
}

struct Search<'v> {
    validator: &'v Validator<OnTape>,
    tape: Tape,
    at: usize,
    effort: usize,
}

/// What was wrong with a table.
#[derive(Clone, Copy, Default)]
struct Wrong {
    /// It has a kind that is not wanted.
    kind: bool,
}

impl Search<'_> {
    fn value(&self) -> Ref<'_> {
        self.tape.view(self.at)
    }

    fn errors(&self) -> Vec<ValidationError<'_>> {
        self.validator.iter_errors(self.value()).collect()
    }

    /// Reads a table as an array once something is wrong with it as an object, and as an object
    /// for good if that did not help.
    fn turn_named(&mut self) {
        let mut as_object: HashMap<usize, Wrong> = HashMap::new();
        let mut objects = Vec::new();
        for _ in 0..ROUNDS {
            let mut moved = false;
            for (at, wrong) in self.named() {
                match self.tape.view(at).kind() {
                    Node::Empty => {
                        as_object.insert(at, wrong);
                        self.tape.settle_empty(at, Node::Array);
                        moved = true;
                    }
                    Node::Array if as_object.remove(&at).is_some_and(|o| !o.kind || wrong.kind) => {
                        self.tape.settle_empty(at, Node::Object);
                        objects.push(at);
                        moved = true;
                    }
                    _ => {}
                }
            }
            if !moved {
                break;
            }
        }
        self.set(&objects, Node::Empty);
    }

    /// The empty tables at the very places of errors.
    fn named(&self) -> HashMap<usize, Wrong> {
        let mut found: HashMap<usize, Wrong> = HashMap::new();
        let mut places = Places::of(self.value());
        for error in self.errors() {
            let place = places.find(error.instance_path().as_str());
            if let Some(at) = place.and_then(table) {
                found.entry(at).or_default().kind |= matches!(error.kind(), Kind::Type { .. });
            }
        }
        found
    }

    /// Whether a reading that fits was found. Otherwise the tape is as before.
    fn turn_hidden(&mut self) -> bool {
        let ways = match self.errors().first() {
            None => return true,
            Some(error) => self.ways(error),
        };
        for way in ways {
            if self.effort == 0 {
                return false;
            }
            self.effort -= 1;
            self.set(&way, Node::Array);
            if self.turn_hidden() {
                return true;
            }
            self.set(&way, Node::Empty);
        }
        false
    }

    /// Something else is wrong too: keeps every turn that leaves fewer errors to report.
    fn turn_single(&mut self) {
        let mut errors = self.errors().len();
        let ways: Vec<_> = self.errors().iter().flat_map(|error| self.ways(error)).collect();
        for way in ways.into_iter().take(EFFORT) {
            self.set(&way, Node::Array);
            let now = self.errors().len();
            match now < errors {
                true => errors = now,
                false => self.set(&way, Node::Empty),
            }
        }
    }

    fn set(&mut self, tables: &[usize], kind: Node) {
        tables.iter().for_each(|at| self.tape.settle_empty(*at, kind));
    }

    /// Sets of tables that, read as arrays, may mend an error.
    fn ways(&self, error: &ValidationError<'_>) -> Vec<Vec<usize>> {
        let pointer = error.instance_path().as_str();
        match error.kind() {
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                context.iter().flat_map(|branch| self.ways_of_branch(branch)).collect()
            }
            Kind::OneOfMultipleValid { .. } | Kind::Not { .. } | Kind::Contains => {
                self.below(pointer)
            }
            _ => self.untried(pointer).map(|at| vec![at]).into_iter().collect(),
        }
    }

    /// All errors of a branch have to go: each error's first way, then the other ways of one error.
    fn ways_of_branch(&self, branch: &[ValidationError<'_>]) -> Vec<Vec<usize>> {
        let each: Vec<_> = branch.iter().map(|error| self.ways(error)).collect();
        if each.iter().any(Vec::is_empty) {
            return Vec::new();
        }
        if let [only] = each.as_slice() {
            return only.clone();
        }
        vec![each.iter().filter_map(|ways| ways.first()).flatten().copied().collect()]
    }

    fn untried(&self, pointer: &str) -> Option<usize> {
        let at = table(self.value().pointer(pointer)?)?;
        (self.tape.view(at).kind() == Node::Empty).then_some(at)
    }

    fn below(&self, pointer: &str) -> Vec<Vec<usize>> {
        let Some(value) = self.value().pointer(pointer) else { return Vec::new() };
        let all: Vec<usize> = value.empties().collect();
        let mut ways: Vec<_> = all.iter().take(SINGLES).map(|at| vec![*at]).collect();
        if all.len() > 1 {
            ways.push(all);
        }
        ways
    }
}

/// The position of a value that is a table without members.
fn table(value: Ref<'_>) -> Option<usize> {
    let table = matches!(value.kind(), Node::Empty | Node::Array | Node::Object);
    (table && value.is_empty()).then(|| value.position())
}
