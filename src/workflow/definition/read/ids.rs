//! Ids of steps: unique in the workflow, and such that paths of them can be told apart.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::super::given::{Given, inner};
use super::super::problem::Flaw;
use super::Reader;
use crate::value::Ref;

/// What stands between the ids in the path of a step that was run: `each[3].step_1`.
const IN_PATHS: [char; 3] = ['.', '[', ']'];

/// Fields that hold lists of steps.
const LISTS: [&str; 5] = ["steps", "if_true", "then", "if_false", "else"];

#[derive(Default)]
pub struct Ids {
    /// Those that are given anywhere.
    expected: HashSet<String>,
    /// Where the steps are that have one.
    used: HashMap<Rc<str>, String>,
    /// All ids up to `step_<this>` were found to be taken.
    spare: usize,
}

impl Ids {
    /// Notes the ids that are given anywhere in a table, so that no step without one gets them.
    pub fn expect(&mut self, table: Ref<'_>) {
        let lists =
            table.members().filter(|(key, _)| key.as_str().is_some_and(|k| LISTS.contains(&k)));
        for step in lists.flat_map(|(_, list)| list.items()) {
            let id = step.get("id").filter(|id| !id.is_null()).or_else(|| step.get("name"));
            self.expected.extend(id.and_then(Ref::as_str).map(str::to_owned));
            self.expect(step);
        }
    }

    pub fn is_known(&self, id: &str) -> bool {
        self.expected.contains(id) || self.used.contains_key(id)
    }

    fn is_free(&self, id: &str) -> bool {
        !self.expected.contains(id) && !self.used.contains_key(id)
    }

    /// `step_<number>`, or another one where a step is called so.
    fn free(&mut self, number: usize) -> String {
        let usual = format!("step_{number}");
        if self.is_free(&usual) {
            return usual;
        }
        loop {
            self.spare += 1;
            let id = format!("step_{}", self.spare);
            if self.is_free(&id) {
                return id;
            }
        }
    }
}

impl Reader<'_> {
    /// Ids for the steps of a list that have none, before those of the steps inside of them.
    pub fn name_all(&mut self, list: Ref<'_>, path: &str) -> Vec<Option<Rc<str>>> {
        let mut name = |(i, step): (usize, Ref<'_>)| {
            let given = |field| step.get(field).is_some_and(|id| !id.is_null());
            if !step.is_object() || given("id") || given("name") {
                return None;
            }
            let id: Rc<str> = self.ids.free(i + 1).into();
            self.ids.used.insert(id.clone(), format!("{path}[{}]", i + 1));
            Some(id)
        };
        list.items().enumerate().map(&mut name).collect()
    }

    /// The id that a step is given.
    pub fn id(&mut self, given: &Given<'_>, place: &str) -> Rc<str> {
        let field = if given.has("id") { "id" } else { "name" };
        let Some(id) = given.text(field) else { return Rc::from("") };
        let id: Rc<str> = id.into();
        if let Some(first) = self.ids.used.get(&id) {
            let message = format!("{id:?} is the id of {first}, too");
            self.wrong(inner(place, field), message, Flaw::DuplicateId);
        } else {
            self.ids.used.insert(id.clone(), place.to_owned());
        }
        if id.contains(IN_PATHS) {
            let message =
                format!("{id:?}: an id has no \".\", \"[\" or \"]\", which join ids in paths");
            self.wrong(inner(place, field), message, Flaw::InvalidValue);
        }
        id
    }
}
