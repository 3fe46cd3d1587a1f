//! What is wrong with a definition or an input, all of it, without an error being raised.

use serde_json::Value;

use super::{Bounds, DEFINITION, builtin, check_name, sandboxed, schema};
use crate::error::{Code, Error};
use crate::schema::Library;
use crate::shape::{Check, Options};
use crate::value::{Record, Ref};

/// One thing that is wrong.
#[derive(Debug)]
pub struct Flaw {
    /// JSON pointer.
    pub path: String,
    pub message: String,
    pub keyword: &'static str,
}

impl Flaw {
    /// What cannot be data at all.
    pub fn no_data(path: &str, error: &Error) -> Flaw {
        Flaw { path: path.to_owned(), message: without_root(error.message()), keyword: "type" }
    }

    /// A field of a definition, and the error about it.
    fn of(field: &str, error: &Error) -> Flaw {
        let message = without_root(error.message());
        let keyword = match error.code() {
            Code::Unsupported => "unsupported",
            Code::ValidationFailed | Code::NotFound => "schema",
            _ if message.contains(": unknown key") => "additionalProperties",
            _ => "type",
        };
        Flaw { path: format!("/{field}"), message, keyword }
    }

    fn to_record(&self) -> Record {
        Record::new()
            .set("path", self.path.as_str())
            .set("message", self.message.as_str())
            .set("keyword", self.keyword)
    }
}

/// Within a definition its fields are known by their names.
fn without_root(message: &str) -> String {
    message.strip_prefix("definition.").unwrap_or(message).to_owned()
}

/// `{valid, errors, warnings}`
fn verdict(errors: Vec<Record>, warnings: Vec<String>) -> Record {
    Record::new().set("valid", errors.is_empty()).set("errors", errors).set("warnings", warnings)
}

/// What `tool.register` would say, about every field. Those of `no_data` are not in `given`.
pub fn definition(
    given: Ref<'_>,
    no_data: Vec<Flaw>,
    check: Check,
    schemas: &Library,
    bounds: &Bounds,
) -> Record {
    let wrong = check.each(given, &DEFINITION, "definition");
    let mut flaws = no_data;
    flaws.extend(wrong.iter().map(|(field, error)| Flaw::of(field, error)));
    let options = Options::new(Some(given), &DEFINITION);
    let has_source =
        options.get("source").is_some() || flaws.iter().any(|flaw| flaw.path == "/source");
    let mut say = |field: &str, error: Option<Error>| {
        let path = format!("/{field}");
        if let Some(error) = error.filter(|_| flaws.iter().all(|known| known.path != path)) {
            flaws.push(Flaw::of(field, &error));
        }
    };
    let name = options.text("name").unwrap_or_default();
    say("name", check_name(&name).err());
    for field in ["parameters", "returns"] {
        let value = options.get(field).map(Ref::to_json);
        say(field, schema(schemas, value, field).err());
    }
    let wrong = sandboxed::worker(&options, &name).err();
    say(if has_source { "source" } else { "execution_mode" }, wrong);
    let has_code = options.function("execute").is_some() || options.get("source").is_some();
    say("builtin", builtin::bound(&options, &name, has_code, bounds).err());
    let warnings =
        if flaws.is_empty() { warnings(&options, &name, has_code, bounds) } else { Vec::new() };
    verdict(flaws.iter().map(Flaw::to_record).collect(), warnings)
}

/// What is allowed, and rarely meant.
fn warnings(options: &Options<'_>, name: &str, has_code: bool, bounds: &Bounds) -> Vec<String> {
    let mut all = Vec::new();
    let bound = builtin::find(&options.text("builtin").unwrap_or_else(|| name.to_owned()))
        .filter(|one| (one.offered)(bounds));
    match bound {
        Some(one) if has_code && one.name == name => {
            all.push(format!("name: hides the built-in tool {name:?}"));
        }
        None if !has_code => {
            all.push("execute: absent, so that a client has to answer the tool's calls".into());
        }
        _ => {}
    }
    if bound.is_none() && options.text("description").is_none_or(|text| text.is_empty()) {
        all.push("description: empty, though models choose tools by it".into());
    }
    if bound.is_none() && options.get("parameters").is_none() {
        all.push("parameters: absent, so that models do not learn what to pass".into());
    }
    all
}

/// What `tool.execute` says of an input, and what in it is no data.
pub fn input(error: Option<&Error>, no_data: &[Flaw]) -> Record {
    let errors = match error {
        Some(error) if error.code() == Code::ConversionError && !no_data.is_empty() => {
            no_data.iter().map(Flaw::to_record).collect()
        }
        error => error.map_or_else(Vec::new, violations),
    };
    verdict(errors, Vec::new())
}

fn violations(error: &Error) -> Vec<Record> {
    let listed = error.fields().details.as_ref().and_then(|details| details["errors"].as_array());
    match listed {
        Some(listed) => listed.iter().map(entry).collect(),
        None => {
            let (path, keyword) = (String::new(), "type");
            vec![Flaw { path, message: error.message().to_owned(), keyword }.to_record()]
        }
    }
}

fn entry(violation: &Value) -> Record {
    let text = |name: &str| violation[name].as_str().unwrap_or_default().to_owned();
    Record::new()
        .set("path", text("path"))
        .set("message", text("message"))
        .set("keyword", text("keyword"))
}
