//! For programs.

use serde_json::{Map, Value, json};

use super::{Case, Covered, Failure, Status, Suite};

pub fn write(suite: &Suite) -> String {
    let mut out = json!({
        "name": suite.name,
        "success": suite.failed() == 0,
        "total": suite.cases.len(),
        "passed": suite.count(Status::Passed),
        "failed": suite.failed(),
        "skipped": suite.count(Status::Skipped),
        "duration_ms": suite.duration_ms,
        "results": suite.cases.iter().map(|case| of_case(case, true)).collect::<Vec<_>>(),
    });
    if !suite.coverage.is_empty() {
        out["coverage"] = suite.coverage.iter().map(of_covered).collect::<Map<_, _>>().into();
    }
    out.to_string()
}

fn of_covered(one: &Covered) -> (String, Value) {
    (one.what.clone(), json!({ "used": one.used, "total": one.total }))
}

fn of_case(case: &Case, has_steps: bool) -> Value {
    let mut out = Map::new();
    if let Some(id) = &case.id {
        out.insert("id".into(), id.as_str().into());
    }
    out.insert("name".into(), case.name.as_str().into());
    out.insert("status".into(), case.status.name().into());
    out.insert("success".into(), (!case.status.is_bad()).into());
    if let Some(reason) = &case.reason {
        out.insert("reason".into(), reason.as_str().into());
    }
    if let Some(failure) = &case.failure {
        out.insert("error".into(), of_failure(failure));
    }
    out.insert("duration_ms".into(), case.duration_ms.into());
    if has_steps {
        let steps = case.steps.iter().map(|step| of_case(step, false)).collect();
        out.insert("steps".into(), Value::Array(steps));
    }
    Value::Object(out)
}

fn of_failure(failure: &Failure) -> Value {
    let mut out = Map::new();
    out.insert("message".into(), failure.message.as_str().into());
    for (name, text) in [("code", &failure.code), ("path", &failure.path)] {
        if let Some(text) = text {
            out.insert(name.into(), text.as_str().into());
        }
    }
    Value::Object(out)
}
