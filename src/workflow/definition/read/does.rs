//! What a step does, and what the pattern of a workflow makes of its steps.

use super::super::given::{Given, inner};
use super::super::shape::{KINDS, LOOPS};
use super::super::*;
use super::Reader;
use super::values::wide;
use crate::error::Code;
use crate::sandbox::{self, Form};
use crate::value::Ref;

fn kind_of(given: &Given<'_>) -> Option<&'static str> {
    let Some(word) = given.word("type") else { return obvious(given) };
    KINDS.iter().find(|kind| kind.is_called(word)).map(|kind| kind.name)
}

/// What a step without a type does, by its fields.
fn obvious(given: &Given<'_>) -> Option<&'static str> {
    let has_any = |fields: &[&str]| fields.iter().any(|field| given.has(field));
    KINDS.iter().find(|kind| has_any(kind.telling)).map(|kind| kind.name)
}

impl Reader<'_> {
    pub fn does(&mut self, given: &Given<'_>, place: &str) -> Does {
        let nothing = Does::Sequence(Rc::from(Vec::new()));
        if given.is_wrong("type") {
            return nothing;
        }
        let Some(kind) = kind_of(given) else {
            let message = "what the step does cannot be seen from its fields: give it a type";
            self.wrong(inner(place, "type"), message, Flaw::MissingField);
            return nothing;
        };
        self.belong_to_type(given, kind, place);
        match kind {
            "agent_call" => Does::Agent {
                agent: self.needs_id(given, "agent", kind, place),
                options: given.get("options").map(|o| Rc::new(Document::copy_whole(o))),
            },
            "tool_call" => Does::Tool { tool: self.needs_id(given, "tool", kind, place) },
            "workflow_call" => {
                Does::Workflow { workflow: self.needs_id(given, "workflow", kind, place) }
            }
            "function" => {
                self.needs(given, "fn", kind, place);
                given.function("fn").map_or(nothing, Does::Function)
            }
            "sequential" => {
                let steps = self.inside(given, kind, place);
                Does::Sequence(self.chained(steps, &inner(place, "steps")))
            }
            "parallel" => self.parallel(given, place),
            "condition" => self.branch(given, kind, place),
            "loop" => {
                let steps = self.inside(given, kind, place);
                self.looping(given, place, steps)
            }
            "map" => self.map(given, place),
            "delay" => Does::Delay {
                ms: self
                    .needs(given, "duration_ms", kind, place)
                    .and_then(Ref::as_f64)
                    .unwrap_or(0.0),
                jitter_percent: given.number("jitter_percent").unwrap_or(0.0),
            },
            "emit" => Does::Emit {
                event: self.needs_text(given, "event", kind, place),
                data: self.made(given, "data", place),
            },
            "transform" => self.transform(given, place),
            _ => self.script(given, place),
        }
    }

    fn script(&mut self, given: &Given<'_>, place: &str) -> Does {
        let code = self.needs_text(given, "code", "script", place);
        let script = Script::new("script", code.as_bytes(), Form::Body);
        // Where nothing runs scripts, nothing can tell whether they are sound.
        if let Err(error) = sandbox::check(&script)
            && error.code() != Code::Unsupported
        {
            self.wrong(inner(place, "code"), error.message(), Flaw::BadCode);
        }
        Does::Script(script)
    }

    /// Fields of another type are a mistake: what they say would be done by nobody.
    fn belong_to_type(&mut self, given: &Given<'_>, kind: &str, place: &str) {
        let own = KINDS.iter().find(|one| one.name == kind);
        let strict = self.check.strict;
        for field in given.names().filter(|_| strict) {
            let types: Vec<&str> =
                KINDS.iter().filter(|one| one.has(field)).map(|one| one.name).collect();
            if types.is_empty() || own.is_some_and(|own| own.has(field)) {
                continue;
            }
            let message = format!(
                "a step of type {kind:?} has no such field: it belongs to {}",
                types.join(", ")
            );
            self.wrong(inner(place, field), message, Flaw::UnknownField);
        }
    }

    /// The same of the fields of a workflow.
    pub fn belong_to_pattern(&mut self, given: &Given<'_>, pattern: Pattern, place: &str) {
        let of = |field: &str| match field {
            "condition" => Some(&[Pattern::Conditional, Pattern::Loop][..]),
            "if_true" | "if_false" => Some(&[Pattern::Conditional][..]),
            field if LOOPS.contains(&field) => Some(&[Pattern::Loop][..]),
            _ => None,
        };
        let strict = self.check.strict;
        for field in given.names().filter(|_| strict) {
            let Some(patterns) = of(field).filter(|patterns| !patterns.contains(&pattern)) else {
                continue;
            };
            let names: Vec<&str> = patterns.iter().map(|pattern| pattern.name()).collect();
            let message = format!(
                "belongs to the pattern {}; the pattern is {}",
                names.join(" or "),
                pattern.name()
            );
            self.wrong(inner(place, field), message, Flaw::UnknownField);
        }
    }

    pub fn body(
        &mut self,
        given: &Given<'_>,
        pattern: Pattern,
        place: &str,
        made: Option<Vec<Step>>,
    ) -> Does {
        let branches = made.is_none() && pattern == Pattern::Conditional && branches(given);
        if made.is_none() && !given.has("steps") && !branches {
            let message = "expected an array of steps, got nil";
            self.wrong(inner(place, "steps"), message, Flaw::MissingField);
        }
        let path = inner(place, "steps");
        let steps = made.unwrap_or_else(|| self.list(given, "steps", place));
        match pattern {
            Pattern::Sequential => Does::Sequence(self.chained(steps, &path)),
            Pattern::Parallel => Does::Parallel {
                steps: self.beside(steps, &path),
                gathers: Aggregation::All,
                wide: wide(given),
            },
            Pattern::Conditional if branches => {
                if !steps.is_empty() {
                    let message = "the steps of a condition stand in if_true and if_false";
                    self.wrong(path, message, Flaw::InvalidValue);
                }
                self.branch(given, pattern.name(), place)
            }
            Pattern::Conditional => Does::Choice(self.alternatives(steps, &path)),
            Pattern::Loop => self.looping(given, place, steps),
        }
    }

    fn needs<'t>(
        &mut self,
        given: &Given<'t>,
        field: &str,
        kind: &str,
        place: &str,
    ) -> Option<Ref<'t>> {
        if !given.has(field) {
            let a = if place.is_empty() { "the pattern" } else { "a step of type" };
            self.wrong(
                inner(place, field),
                format!("missing: {a} {kind:?} needs it"),
                Flaw::MissingField,
            );
        }
        given.get(field)
    }

    fn needs_id(&mut self, given: &Given<'_>, field: &str, kind: &str, place: &str) -> String {
        self.needs(given, field, kind, place);
        let id = given.id(field).unwrap_or_default();
        if id.is_empty() && given.get(field).is_some() {
            self.wrong(
                inner(place, field),
                "expected an id or a name, got \"\"",
                Flaw::InvalidValue,
            );
        }
        id
    }

    fn needs_text(&mut self, given: &Given<'_>, field: &str, kind: &str, place: &str) -> String {
        self.needs(given, field, kind, place).map(Ref::to_text).unwrap_or_default()
    }

    fn inside(&mut self, given: &Given<'_>, kind: &str, place: &str) -> Vec<Step> {
        self.needs(given, "steps", kind, place);
        self.list(given, "steps", place)
    }

    fn parallel(&mut self, given: &Given<'_>, place: &str) -> Does {
        let steps = self.inside(given, "parallel", place);
        Does::Parallel {
            steps: self.beside(steps, &inner(place, "steps")),
            gathers: match given.word("aggregation") {
                Some("first") => Aggregation::First,
                Some("majority") => Aggregation::Majority,
                _ => Aggregation::All,
            },
            wide: wide(given),
        }
    }

    fn transform(&mut self, given: &Given<'_>, place: &str) -> Does {
        if let Some(function) = given.function("fn") {
            if given.has("template") {
                let message = "a transform has a template or a function";
                self.wrong(inner(place, "fn"), message, Flaw::InvalidValue);
            }
            return Does::Transform(Made::Called(function));
        }
        self.needs(given, "template", "transform", place);
        Does::Transform(self.made(given, "template", place).unwrap_or(Made::Plain(Value::Null)))
    }

    fn branch(&mut self, given: &Given<'_>, kind: &str, place: &str) -> Does {
        self.needs(given, "condition", kind, place);
        if !given.has("if_true") && !given.has("if_false") {
            let message = format!("missing: {kind:?} needs if_true or if_false");
            self.wrong(inner(place, "if_true"), message, Flaw::MissingField);
        }
        let (then, otherwise) =
            (self.list(given, "if_true", place), self.list(given, "if_false", place));
        Does::Branch {
            test: self.test(given, "condition", place).unwrap_or(Test::Says(Box::default())),
            then: self.chained(then, &inner(place, "if_true")),
            otherwise: self.chained(otherwise, &inner(place, "if_false")),
        }
    }

    pub fn looping(&mut self, given: &Given<'_>, place: &str, steps: Vec<Step>) -> Does {
        let until = self.test(given, "until_condition", place);
        let over = self.over(given, place);
        let bounded = matches!(over, Over::Items(_) | Over::Count(_));
        let most = given.count("max_iterations").unwrap_or(100);
        Does::Loop(Rc::new(Looping {
            steps: self.chained(steps, &inner(place, "steps")),
            over,
            until,
            max_iterations: (!bounded).then_some(most),
            delay_ms: given.number("iteration_delay_ms").unwrap_or(0.0),
            breaks_on_error: given.bool("break_on_error") != Some(false),
        }))
    }

    fn over(&mut self, given: &Given<'_>, place: &str) -> Over {
        let named: Vec<_> =
            ["items", "count", "condition"].into_iter().filter(|field| given.has(field)).collect();
        if named.len() > 1 {
            let also = if named.contains(&"condition") && !place.is_empty() {
                "; whether it runs at all, `when` says"
            } else {
                ""
            };
            let message = format!("a loop has one of items, count and condition{also}");
            self.wrong(inner(place, named.last().unwrap_or(&"")), message, Flaw::InvalidValue);
        }
        if named.is_empty() && !given.has("until_condition") {
            let message = "a loop needs items, count, condition or until_condition";
            self.wrong(place_or(place, "items"), message, Flaw::MissingField);
        }
        let items = self.made_list(given, "items", place).map(Over::Items);
        let count = self.count_of(given, place).map(Over::Count);
        let condition = self.test(given, "condition", place).map(Over::While);
        items.or(count).or(condition).unwrap_or(Over::Ever)
    }

    fn count_of(&mut self, given: &Given<'_>, place: &str) -> Option<Made> {
        let value = given.get("count")?;
        if value.as_str().is_some_and(|text| !crate::workflow::template::is_template(text)) {
            let message =
                format!("expected an integer or a template, got {}", crate::shape::shown(value));
            self.wrong(inner(place, "count"), message, Flaw::InvalidValue);
        }
        match value.as_f64() {
            Some(number) => Some(Made::Plain(Value::from(number as u64))),
            None => self.made(given, "count", place),
        }
    }

    fn map(&mut self, given: &Given<'_>, place: &str) -> Does {
        self.needs(given, "over", "map", place);
        let steps = self.inside(given, "map", place);
        Does::Map {
            over: self.made_list(given, "over", place).unwrap_or(Made::Plain(Value::Null)),
            steps: self.chained(steps, &inner(place, "steps")),
            wide: wide(given),
        }
    }
}

fn branches(given: &Given<'_>) -> bool {
    ["condition", "if_true", "if_false"].iter().any(|field| given.has(field))
}

fn place_or(place: &str, field: &str) -> String {
    if place.is_empty() { field.to_owned() } else { place.to_owned() }
}
