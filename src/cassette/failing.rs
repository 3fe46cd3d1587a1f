//! Errors of tools as values of a tape, and back.

use serde_json::{Map, Value, json};

use crate::error::{Cause, Code, Error};
use crate::value::Data;

/// What can be told of an error; `cause` is the text of what user code raised.
pub fn written(error: &Error, cause: Option<&str>) -> Value {
    let fields = error.fields();
    let inner = match &fields.cause {
        Some(Cause::Error(inner)) => Some(written(inner, None)),
        Some(_) => cause.map(Value::from),
        None => None,
    };
    let all = [
        ("code", Some(json!(error.code().name()))),
        ("message", Some(json!(error.message()))),
        ("details", fields.details.clone()),
        ("status", fields.status.map(Value::from)),
        ("phase", fields.phase.map(|phase| phase.name().into())),
        ("retryable", fields.retryable.map(Value::from)),
        ("cause", inner),
    ];
    let known = all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    known.collect::<Map<String, Value>>().into()
}

pub fn read(value: &Value) -> Error {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let code = Code::parse(text("code")).unwrap_or(Code::ToolError);
    let error = Error::new(code, text("message")).with_fields(value);
    match value.get("cause") {
        Some(Value::String(text)) => {
            let cause = Cause::Data(Box::new(Data::from(text.as_str())));
            error.with(|f| f.cause = Some(cause))
        }
        Some(inner) => error.caused_by(read(inner)),
        None => error,
    }
}
