//! Reads the table of a workflow. Everything that is wrong with it is told at once.

mod does;
mod ids;
mod sorting;
mod values;

use super::given::{Given, inner};
use super::shape::{STEP, WORKFLOW};
use super::*;
use crate::schema::{Library, Schema};
use crate::shape::{Check, shown};
use crate::value::Ref;
use ids::Ids;

/// Steps inside each other.
const DEEPEST: usize = 32;

/// What was read of a definition.
pub struct Found {
    /// Whole only without problems.
    pub definition: Definition,
    pub problems: Vec<Problem>,
}

/// `place` is the path of the table; "" where it is the definition of a call.
pub fn read(table: Ref<'_>, schemas: &Library, check: Check, place: &str) -> Found {
    let mut reader = Reader::new(schemas, check);
    reader.ids.expect(table);
    let given = reader.given(table, &WORKFLOW, place);
    let pattern = pattern_of(&given);
    let definition = reader.workflow(&given, pattern, place, None);
    Found { definition, problems: reader.problems }
}

/// The pattern of a workflow; sequential, if none is given.
pub fn pattern_of(given: &Given<'_>) -> Pattern {
    Pattern::of(given.word("pattern").unwrap_or_default()).unwrap_or_default()
}

pub(crate) struct Reader<'l> {
    schemas: &'l Library,
    check: Check,
    ids: Ids,
    pub problems: Vec<Problem>,
    depth: usize,
    count: usize,
}

impl<'l> Reader<'l> {
    pub fn new(schemas: &'l Library, check: Check) -> Reader<'l> {
        Reader { schemas, check, ids: Ids::default(), problems: Vec::new(), depth: 0, count: 0 }
    }

    pub fn given<'t>(
        &mut self,
        table: Ref<'t>,
        shape: &'static crate::shape::Shape,
        place: &str,
    ) -> Given<'t> {
        Given::read(table, shape, self.check, place, &mut self.problems)
    }

    pub fn wrong(&mut self, path: impl Into<String>, message: impl Into<String>, flaw: Flaw) {
        self.problems.push(Problem::new(path, message, flaw));
    }

    /// `made`: steps that are not read from the table.
    pub fn workflow(
        &mut self,
        given: &Given<'_>,
        pattern: Pattern,
        place: &str,
        made: Option<Vec<Step>>,
    ) -> Definition {
        self.count += made.as_ref().map_or(0, Vec::len);
        if !given.is_wrong("pattern") {
            self.belong_to_pattern(given, pattern, place);
        }
        Definition {
            name: given.text("name").filter(|name| Some(name) != given.text("id").as_ref()),
            description: given.text("description").unwrap_or_default(),
            version: given.text("version").unwrap_or_else(|| "1".into()),
            metadata: given.get("metadata").map(Ref::to_json),
            pattern,
            body: self.body(given, pattern, place, made),
            input_schema: self.schema(given, "input_schema", place),
            output_schema: self.schema(given, "output_schema", place),
            variables: values::object(given.get("variables")),
            timeout_ms: given.number("timeout_ms").filter(|ms| *ms > 0.0),
            goes_on: given.word("on_error") == Some("continue"),
            keep: given.count("keep").map_or(100, |n| n as usize),
            count: self.count,
        }
    }

    fn schema(&mut self, given: &Given<'_>, field: &str, place: &str) -> Option<Value> {
        let schema = given.get(field)?.to_json();
        let whole = self.schemas.whole(&schema);
        match whole.and_then(|whole| Schema::compile(&whole).map(|_| whole)) {
            Ok(schema) => Some(schema),
            Err(error) => {
                self.wrong(inner(place, field), error.message(), Flaw::InvalidValue);
                None
            }
        }
    }

    /// A list of steps in the order they are written; `place` is the path of the table it is in.
    fn list(&mut self, given: &Given<'_>, field: &str, place: &str) -> Vec<Step> {
        let path = inner(place, field);
        let Some(list) = given.get(field) else { return Vec::new() };
        if !list.is_array() {
            let message = format!("expected an array of steps, got {}", keyed(list));
            self.wrong(path, message, Flaw::InvalidValue);
            return Vec::new();
        }
        if self.depth == DEEPEST {
            let message = format!("steps nest {DEEPEST} deep at most");
            self.wrong(path, message, Flaw::TooDeep);
            return Vec::new();
        }
        self.depth += 1;
        let names = self.name_all(list, &path);
        let each = list.items().zip(names).enumerate();
        let steps = each.filter_map(|(i, (item, id))| self.item(item, id, &path, i + 1)).collect();
        self.depth -= 1;
        steps
    }

    /// `id` is for a step that is given none.
    fn item(
        &mut self,
        item: Ref<'_>,
        id: Option<Rc<str>>,
        list: &str,
        number: usize,
    ) -> Option<Step> {
        let place = format!("{list}[{number}]");
        self.count += 1;
        if item.is_object() {
            return Some(self.step(item, id, &place, number));
        }
        self.wrong(
            place,
            format!("expected a step (a table), got {}", shown(item)),
            Flaw::InvalidValue,
        );
        None
    }

    fn step(&mut self, table: Ref<'_>, id: Option<Rc<str>>, place: &str, number: usize) -> Step {
        let given = self.given(table, &STEP, place);
        let id = id.unwrap_or_else(|| self.id(&given, place));
        let does = self.does(&given, place);
        Step {
            title: given.text("name").filter(|name| *name != *id),
            id,
            number,
            input: self.made(&given, "input", place),
            depends_on: values::texts(given.get("depends_on")),
            when: self.when(&given, &does, place),
            retry: values::retry(&given),
            timeout_ms: given.number("timeout_ms").filter(|ms| *ms > 0.0),
            goes_on: given.bool("continue_on_error"),
            default: given.get("default").map(Ref::to_json),
            output: self.made(&given, "output", place),
            idempotent: given.bool("idempotent") == Some(true),
            on_unknown: match given.word("on_unknown") {
                Some("retry") => Some(OnUnknown::Retry),
                Some(_) => Some(OnUnknown::Fail),
                None => None,
            },
            metadata: given.get("metadata").map(Ref::to_json),
            does,
        }
    }

    /// What it depends on that it is run at all.
    fn when(&mut self, given: &Given<'_>, does: &Does, place: &str) -> Option<Test> {
        let when = self.test(given, "when", place);
        if matches!(does, Does::Branch { .. } | Does::Loop(_)) {
            return when;
        }
        let condition = self.test(given, "condition", place);
        if when.is_some() && condition.is_some() {
            let message = "condition and when are one field, which is given twice";
            self.wrong(inner(place, "when"), message, Flaw::InvalidValue);
        }
        when.or(condition)
    }
}

/// What stands where an array has to.
fn keyed(value: Ref<'_>) -> String {
    let keys: Vec<String> = value.members().take(4).map(|(key, _)| key.to_text()).collect();
    if keys.is_empty() {
        shown(value)
    } else {
        format!("a table with the keys {}", keys.join(", "))
    }
}
