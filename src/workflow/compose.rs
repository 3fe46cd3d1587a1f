//! Workflows put together to one: each is a step that executes it.

use std::collections::HashSet;
use std::rc::Rc;

use super::calls::reaches_name;
use super::definition::given::{Given, inner};
use super::definition::shape::{COMPOSITION, PART};
use super::definition::{
    Definition, Does, Flaw, Found, Pattern, Problem, Reader, Retry, Step, needs, pattern_of, read,
    refusal,
};
use super::known::insert;
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::shape::{Check, id_of};
use crate::value::Ref;

/// Makes the workflow; gives its number.
pub fn compose(runtime: &mut Runtime, parts: Ref<'_>, how: Option<Ref<'_>>) -> Result<u64> {
    let check = Check { strict: runtime.config.strict };
    let mut reader = Reader::new(&runtime.schemas, check);
    let given = match how.filter(|how| how.as_str().is_none()) {
        Some(table) => reader.given(table, &COMPOSITION, "how"),
        None => Given::nothing(),
    };
    let said = how.and_then(Ref::as_str).and_then(Pattern::of);
    let pattern = said.unwrap_or_else(|| pattern_of(&given));
    let name = given.text("name");
    let mut composing = Composing {
        runtime,
        reader,
        name,
        own: Vec::new(),
        steps: Vec::new(),
        ids: HashSet::new(),
    };
    for (i, part) in parts.items().enumerate() {
        composing.part(part, &format!("workflows[{}]", i + 1), i + 1)?;
    }
    let Composing { mut reader, own, steps, .. } = composing;
    let whole = reader.workflow(&given, pattern, "how", Some(steps));
    if !reader.problems.is_empty() {
        return Err(refusal(&reader.problems));
    }
    for definition in own {
        insert(runtime, definition);
    }
    Ok(insert(runtime, whole))
}

struct Composing<'r> {
    runtime: &'r Runtime,
    reader: Reader<'r>,
    /// Of the new workflow.
    name: Option<String>,
    /// Workflows that are written where others are named.
    own: Vec<Definition>,
    steps: Vec<Step>,
    ids: HashSet<String>,
}

impl Composing<'_> {
    fn part(&mut self, part: Ref<'_>, place: &str, number: usize) -> Result<()> {
        let known = &self.runtime.workflows.known;
        let key = id_of(part);
        if let Some(key) = key.as_ref().filter(|key| Some(*key) == self.name.as_ref()) {
            self.contains_itself(place, &[key.clone(), key.clone()]);
            return Ok(());
        }
        let found = key.as_deref().map(|key| known.find(key)).transpose();
        let found = found.map_err(|error| error.at(place))?.flatten();
        match (found, key) {
            (Some(workflow), Some(key)) => {
                self.check_inside(workflow, place);
                let id = known.id(workflow);
                let given = self.options(part, place);
                self.step(&given, place, number, id, &key);
            }
            _ if is_definition(part) => self.inline(part, place, number),
            (_, Some(key)) => return Err(Error::not_found("workflow", &key).at(place)),
            (_, None) => {
                let message = "missing: which workflow it is; or its steps";
                self.reader.wrong(inner(place, "id"), message, Flaw::MissingField);
            }
        }
        Ok(())
    }

    /// What is said of a part beside its id. What `workflow.get` returned says only that.
    fn options<'t>(&mut self, part: Ref<'t>, place: &str) -> Given<'t> {
        if !part.is_object() || is_definition(part) || part.get("created_at").is_some() {
            return Given::nothing();
        }
        self.reader.given(part, &PART, place)
    }

    fn inline(&mut self, part: Ref<'_>, place: &str, number: usize) {
        let check = Check { strict: self.runtime.config.strict };
        let Found { definition, problems } = read(part, &self.runtime.schemas, check, place);
        self.reader.problems.extend(problems);
        let calls = needs(&definition).workflows;
        if let Some(name) = &self.name
            && let Some(path) = reaches_name(self.runtime, &calls, name)
        {
            self.contains_itself(place, &path);
        }
        let known = &self.runtime.workflows.known;
        let id = known.id(known.next() + self.own.len() as u64);
        let label = definition.name.clone().unwrap_or_else(|| id.clone());
        self.step(&Given::nothing(), place, number, id, &label);
        self.own.push(definition);
    }

    /// Whether a workflow calls the new one, which it is to be a part of.
    fn check_inside(&mut self, workflow: u64, place: &str) {
        let Some(name) = self.name.clone() else { return };
        let Some(inside) = self.runtime.workflows.known.get(workflow) else { return };
        let calls = needs(&inside.definition).workflows;
        if let Some(path) = reaches_name(self.runtime, &calls, &name) {
            let whole: Vec<String> = std::iter::once(inside.name.clone()).chain(path).collect();
            self.contains_itself(place, &whole);
        }
    }

    fn contains_itself(&mut self, place: &str, path: &[String]) {
        let message = format!("contains itself: {}", path.join(" → "));
        self.reader.problems.push(Problem::new(place, message, Flaw::Cycle));
    }

    fn step(&mut self, given: &Given<'_>, place: &str, number: usize, workflow: String, key: &str) {
        let on_error = given.word("on_error");
        let id = self.free(key, &workflow);
        self.steps.push(Step {
            id: Rc::from(id),
            title: None,
            number,
            input: self.reader.made(given, "input", place),
            depends_on: Vec::new(),
            when: self.reader.test(given, "condition", place),
            retry: Retry::default(),
            timeout_ms: None,
            goes_on: on_error.map(|word| word != "propagate"),
            default: given
                .get("default")
                .map(Ref::to_json)
                .filter(|_| on_error == Some("use_default")),
            output: self.reader.made(given, "output", place),
            idempotent: false,
            on_unknown: None,
            metadata: None,
            does: Does::Workflow { workflow },
        });
        if given.has("default") && on_error != Some("use_default") && on_error.is_some() {
            let message = "is used only with on_error = \"use_default\"";
            self.reader.wrong(inner(place, "default"), message, Flaw::InvalidValue);
        }
    }

    /// What the step is called: as the workflow was, where that can be the id of a step.
    fn free(&mut self, key: &str, workflow: &str) -> String {
        let base = if key.contains(['.', '[', ']']) { workflow } else { key };
        let numbered = |n: u64| if n == 1 { base.to_owned() } else { format!("{base}_{n}") };
        let id = (1..).map(numbered).find(|id| !self.ids.contains(id)).unwrap_or_default();
        self.ids.insert(id.clone());
        id
    }
}

fn is_definition(part: Ref<'_>) -> bool {
    ["steps", "if_true", "then", "if_false", "else"].iter().any(|field| part.get(field).is_some())
}
