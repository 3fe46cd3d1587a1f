//! What of a definition a durable run depends on, as one number.
//!
//! Two definitions have the same hash where what was recorded under one means the same under the
//! other: structure, templates and `version` count; names, limits, retries and how much goes on at
//! once do not. Of functions only that they are there. The same on every engine, in every process
//! and build: so a field that is added later must not stand here where it is not used.

use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::{Definition, Does, Looping, Made, Over, Step, Test};
use crate::registry::{Named, Registry};
use crate::runtime::Runtime;

impl Definition {
    /// The first bytes of its SHA-256.
    pub fn hash(&self, runtime: &Runtime) -> u64 {
        let whole = json!({
            "version": self.version,
            "pattern": self.pattern.name(),
            "body": Callees { runtime }.does(&self.body),
        });
        let mut text = String::new();
        canonical(&whole, &mut text);
        let sum = digest(&SHA256, text.as_bytes());
        sum.as_ref().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

/// Who is called, by name: ids are numbers in the order in which this process has created things.
struct Callees<'r> {
    runtime: &'r Runtime,
}

/// What is recorded of one without a name is its own definition, when it is called.
fn name_of<T: Named>(known: &Registry<T>, key: &str) -> Value {
    let number = known.find(key).ok().flatten();
    let name = number.map(|number| (known.id(number), known.get(number).map(Named::name)));
    match name {
        Some((id, Some(name))) if id == name => Value::Null,
        Some((_, Some(name))) => name.into(),
        _ => key.into(),
    }
}

impl Callees<'_> {
    fn does(&self, does: &Does) -> Value {
        let mut all = Map::new();
        let mut put = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
        match does {
            Does::Agent { agent, .. } => put("agent", name_of(&self.runtime.agents, agent)),
            Does::Tool { tool } => put("tool", name_of(&self.runtime.tools, tool)),
            Does::Workflow { workflow } => {
                put("workflow", name_of(&self.runtime.workflows.known, workflow))
            }
            Does::Function(_) | Does::Delay { .. } => {}
            Does::Sequence(inner) | Does::Choice(inner) => put("steps", self.steps(inner)),
            Does::Parallel { steps: inner, gathers, .. } => {
                put("steps", self.steps(inner));
                put("aggregation", gathers.name().into());
            }
            Does::Branch { test: holds, then, otherwise } => {
                put("condition", test(holds));
                put("if_true", self.steps(then));
                put("if_false", self.steps(otherwise));
            }
            Does::Loop(inner) => all = self.looping(inner),
            Does::Map { over, steps: inner, .. } => {
                put("over", made(over));
                put("steps", self.steps(inner));
            }
            Does::Emit { event, data } => {
                put("event", event.as_str().into());
                put("data", data.as_ref().map_or(Value::Null, made));
            }
            Does::Transform(value) => put("template", made(value)),
            Does::Script(script) => put("code", String::from_utf8_lossy(&script.text).into()),
        }
        all.insert("type".to_owned(), does.name().into());
        Value::Object(all)
    }

    fn looping(&self, looping: &Looping) -> Map<String, Value> {
        let (name, over) = match &looping.over {
            Over::Items(items) => ("items", made(items)),
            Over::Count(count) => ("count", made(count)),
            Over::While(holds) => ("condition", test(holds)),
            Over::Ever => ("ever", true.into()),
        };
        let mut all = Map::new();
        all.insert(name.to_owned(), over);
        all.insert("steps".to_owned(), self.steps(&looping.steps));
        all.insert("until".to_owned(), looping.until.as_ref().map_or(Value::Null, test));
        all
    }

    /// In the order in which they run.
    fn steps(&self, steps: &[std::rc::Rc<Step>]) -> Value {
        steps.iter().map(|one| self.step(one)).collect()
    }

    fn step(&self, step: &Step) -> Value {
        json!({
            "id": step.id.as_ref(),
            "does": self.does(&step.does),
            "input": step.input.as_ref().map(made),
            "depends_on": step.depends_on,
            "when": step.when.as_ref().map(test),
            "output": step.output.as_ref().map(made),
        })
    }
}

fn made(made: &Made) -> Value {
    match made {
        Made::Plain(value) | Made::Filled(value) => json!({ "value": value }),
        Made::Called(_) => function(),
    }
}

fn test(test: &Test) -> Value {
    match test {
        Test::Says(condition) => json!({ "text": condition.text }),
        Test::Called(_) => function(),
    }
}

fn function() -> Value {
    json!({ "fn": true })
}

/// JSON with its names in order, without null members, and one way to write a number: where 1.0 is
/// 1 on one engine, it is on all.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().filter(|(_, m)| !m.is_null()).collect();
            members.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (name, member) in members {
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                canonical(member, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Number(number) => out.push_str(&whole(number)),
        other => out.push_str(&other.to_string()),
    }
}

fn whole(number: &serde_json::Number) -> String {
    /// Doubles hold every integer up to here.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(n) if number.is_f64() && n.fract() == 0.0 && n.abs() <= EXACT => {
            (n as i64).to_string()
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &Value) -> String {
        let mut out = String::new();
        canonical(value, &mut out);
        out
    }

    #[test]
    fn equal_values_have_one_text() {
        let one = json!({ "b": 1, "a": [1.0, { "y": null, "x": "ä\n" }] });
        let other = json!({ "a": [1, { "x": "ä\n" }], "b": 1.0 });
        assert_eq!(text(&one), text(&other));
        assert_ne!(text(&json!(1)), text(&json!(1.5)));
        assert_ne!(text(&json!("1")), text(&json!(1)));
        assert_ne!(text(&json!([])), text(&json!({})));
    }
}
