//! A definition as the table that it can be made from again.

use serde_json::{Value, json};

use super::{Definition, Does, Looping, Made, Over, Pattern, Step, Test, Wide};
use crate::value::tape::Kind as Tag;
use crate::value::{Data, Record, Ref};

impl Definition {
    /// With everything that holds where nothing is said. `name` is the workflow's.
    pub fn to_record(&self, id: &str, name: &str) -> Record {
        let mut record = Record::new()
            .set("id", id)
            .set("name", name)
            .set("description", self.description.as_str())
            .set("version", self.version.as_str())
            .set("metadata", self.metadata.clone().unwrap_or_else(|| json!({})))
            .set("pattern", self.pattern.name())
            .set("input_schema", self.input_schema.clone())
            .set("output_schema", self.output_schema.clone())
            .set("variables", Value::Object(self.variables.clone()))
            .set("timeout_ms", self.timeout_ms)
            .set("on_error", if self.goes_on { "continue" } else { "fail" })
            .set("keep", self.keep);
        match &self.body {
            Does::Parallel { steps: inner, wide, .. } => {
                record.put("steps", steps(inner, self.goes_on));
                record.put("max_concurrency", wide.max_concurrency);
            }
            does => body(&mut record, does, self.goes_on),
        }
        if self.pattern == Pattern::Conditional && record.get("steps").is_none() {
            record.put("steps", Data::List(Vec::new()));
        }
        record
    }
}

/// What a step does, or all steps of a workflow do; `goes_on`: where steps say nothing of errors.
fn body(record: &mut Record, does: &Does, goes_on: bool) {
    match does {
        Does::Agent { agent, options } => {
            record.put("agent", agent.as_str());
            let options = options.as_ref().and_then(|options| options.value());
            record.put("options", options.map_or(Data::Nil, data));
        }
        Does::Tool { tool } => record.put("tool", tool.as_str()),
        Does::Function(function) => record.put("fn", function.clone()),
        Does::Workflow { workflow } => record.put("workflow", workflow.as_str()),
        Does::Sequence(inner) | Does::Choice(inner) => record.put("steps", steps(inner, goes_on)),
        Does::Parallel { steps: inner, gathers, wide: width } => {
            record.put("steps", steps(inner, goes_on));
            record.put("aggregation", gathers.name());
            wide(record, *width);
        }
        Does::Branch { test: holds, then, otherwise } => {
            record.put("condition", test(holds));
            record.put("if_true", steps(then, goes_on));
            record.put("if_false", steps(otherwise, goes_on));
        }
        Does::Loop(inner) => looping(record, inner, goes_on),
        Does::Map { over, steps: inner, wide: width } => {
            record.put("over", made(over));
            record.put("steps", steps(inner, goes_on));
            wide(record, *width);
        }
        Does::Delay { ms, jitter_percent } => {
            record.put("duration_ms", *ms);
            record.put("jitter_percent", *jitter_percent);
        }
        Does::Emit { event, data } => {
            record.put("event", event.as_str());
            record.put("data", data.as_ref().map(made));
        }
        Does::Transform(Made::Called(function)) => record.put("fn", function.clone()),
        Does::Transform(template) => record.put("template", made(template)),
        Does::Script(script) => {
            record.put("code", String::from_utf8_lossy(&script.text).into_owned());
        }
    }
}

fn wide(record: &mut Record, wide: Wide) {
    record.put("max_concurrency", wide.max_concurrency);
    record.put("fail_fast", wide.fail_fast);
}

fn looping(record: &mut Record, looping: &Looping, goes_on: bool) {
    record.put("steps", steps(&looping.steps, goes_on));
    match &looping.over {
        Over::Items(items) => record.put("items", made(items)),
        Over::Count(count) => record.put("count", made(count)),
        Over::While(holds) => record.put("condition", test(holds)),
        Over::Ever => {}
    }
    record.put("until_condition", looping.until.as_ref().map(test));
    record.put("max_iterations", looping.max_iterations);
    record.put("iteration_delay_ms", looping.delay_ms);
    record.put("break_on_error", looping.breaks_on_error);
}

/// In the order they were written.
fn steps(steps: &[std::rc::Rc<Step>], goes_on: bool) -> Data {
    let mut written: Vec<&Step> = steps.iter().map(AsRef::as_ref).collect();
    written.sort_by_key(|step| step.number);
    Data::List(written.into_iter().map(|s| step(s, goes_on).into()).collect())
}

fn step(step: &Step, goes_on: bool) -> Record {
    let own_condition = matches!(step.does, Does::Branch { .. } | Does::Loop(_));
    let mut record = Record::new()
        .set("id", step.id.as_ref())
        .set("name", step.title.as_deref())
        .set("type", step.does.name())
        .set("input", step.input.as_ref().map(made))
        .set("depends_on", step.depends_on.clone())
        .set(if own_condition { "when" } else { "condition" }, step.when.as_ref().map(test))
        .set("retry", retry(step))
        .set("timeout_ms", step.timeout_ms)
        .set("continue_on_error", step.goes_on.unwrap_or(goes_on))
        .set("default", step.default.clone())
        .set("output", step.output.as_ref().map(made))
        .set("idempotent", step.idempotent)
        .set("on_unknown", step.on_unknown.map(|word| word.name()))
        .set("metadata", step.metadata.clone());
    body(&mut record, &step.does, goes_on);
    record
}

fn retry(step: &Step) -> Record {
    Record::new()
        .set("max_attempts", step.retry.max_attempts)
        .set("backoff_ms", step.retry.backoff_ms)
        .set("backoff_multiplier", step.retry.multiplier)
}

fn made(made: &Made) -> Data {
    match made {
        Made::Plain(value) | Made::Filled(value) => Data::Json(value.clone()),
        Made::Called(function) => function.clone().into(),
    }
}

fn test(test: &Test) -> Data {
    match test {
        Test::Says(condition) => condition.text.as_str().into(),
        Test::Called(function) => function.clone().into(),
    }
}

/// A table with all that passes by reference in it.
fn data(value: Ref<'_>) -> Data {
    match (value.kind(), value.as_slot()) {
        (_, Some(slot)) => slot.clone().into(),
        (Tag::Array, _) => Data::List(value.items().map(data).collect()),
        (Tag::Object, _) => {
            let mut record = Record::new();
            value.members().for_each(|(key, inner)| record.put(key.to_text(), data(inner)));
            record.into()
        }
        _ => value.to_json().into(),
    }
}
