//! Whom to ask where a provider fails, and what became of those that were asked before.

use std::collections::VecDeque;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::instance::Provider;
use super::options::{CONFIG, LIMITS};
use super::providers::Providers;
use super::reach::TRANSPORT;
use super::whom::Whom;
use crate::error::{Code, Error, Phase, Result};
use crate::shape::{Field, Kind, Options, Shape, id_of};
use crate::value::Ref;

/// A provider with a model, or a configuration that stands right there.
pub static FALLBACK: Shape = Shape::new(
    "Fallback",
    &[
        Field::new(
            "provider",
            Kind::OneOf(&[Kind::Id("a provider"), Kind::Table(&CONFIG)]),
            "the one that failed",
            "id, name or type; or a configuration",
        ),
        TRANSPORT,
    ],
    &[&CONFIG, &LIMITS],
);

/// One provider to fall back on.
#[derive(Clone, Debug)]
pub struct Fallback {
    /// `None`: the main one, with another model.
    pub whom: Option<Whom>,
    /// `None`: the provider's own. A call's model belongs to the provider that the call names.
    pub model: Option<String>,
}

impl Fallback {
    pub fn list(list: Ref<'_>, providers: &Providers, path: &str) -> Result<Rc<[Fallback]>> {
        let one =
            |(i, item)| Fallback::read(item, providers, &format!("{path}.fallback[{}]", i + 1));
        list.items().enumerate().map(one).collect()
    }

    fn read(item: Ref<'_>, providers: &Providers, path: &str) -> Result<Fallback> {
        let fallback = match id_of(item) {
            Some(key) => Fallback { whom: Some(Whom::Known(key.into())), model: None },
            None if is_pair(item) => {
                let options = Options::new(Some(item), &FALLBACK);
                let whom = Whom::given(&options, providers, path)?;
                Fallback { whom, model: options.text("model") }
            }
            None => {
                let config = Options::new(Some(item), &CONFIG);
                let provider = Provider::own(&config, providers, path)?;
                Fallback { whom: Some(Whom::Own(Rc::new(provider))), model: None }
            }
        };
        fallback.check(providers, path)
    }

    fn check(self, providers: &Providers, path: &str) -> Result<Fallback> {
        match &self {
            Fallback { whom: None, model: None } => Err(Error::invalid(format!(
                "{path}: expected a provider, or a table with provider or model, got neither"
            ))),
            Fallback { whom: Some(whom), .. } => {
                whom.check(providers).map_err(|error| error.at(path)).map(|()| self)
            }
            _ => Ok(self),
        }
    }

    /// As infos show it.
    pub fn shown(&self) -> Value {
        let mut shown = Map::new();
        if let Some(whom) = &self.whom {
            shown.insert("provider".into(), whom.label().into());
        }
        if let Some(model) = &self.model {
            shown.insert("model".into(), model.as_str().into());
        }
        Value::Object(shown)
    }
}

/// `{provider=, model=}`; with anything else beside them it is a configuration.
fn is_pair(item: Ref<'_>) -> bool {
    item.members().all(|(key, _)| matches!(key.as_str(), Some("provider" | "model")))
}

/// `details.reason` of the error for it.
const UNRECORDED: &str = "unrecorded";

/// Those that are left to ask, and what those before have said.
#[derive(Debug, Default)]
pub struct Others {
    left: VecDeque<Fallback>,
    said: Vec<Value>,
    /// Requests made to those before.
    requests: u32,
}

impl Others {
    pub fn new(list: &[Fallback]) -> Others {
        Others { left: list.iter().cloned().collect(), ..Others::default() }
    }

    /// Whether somebody is left who might do better.
    pub fn help(&self, error: &Error) -> bool {
        is_the_providers(error) && !self.left.is_empty()
    }

    /// Whom to ask after `error`, which a provider gave for `model`; the error if that is of no use.
    pub fn after(&mut self, error: Error, model: Option<&str>) -> Result<Fallback> {
        let next = if self.help(&error) { self.left.pop_front() } else { None };
        let Some(next) = next else { return Err(error) };
        self.said.push(said(&error, model));
        self.requests += error.fields().attempts.unwrap_or(0);
        Ok(next)
    }

    /// Requests of a call, `last` of them made to the latest provider.
    pub fn requests(&self, last: u32) -> u32 {
        self.requests + last
    }

    /// The error with what was said before it, as `details.fallbacks`, and all requests counted.
    pub fn told(&self, error: Error) -> Error {
        if self.said.is_empty() {
            return error;
        }
        let before = self.requests;
        error.with(|f| {
            let mut details = match f.details.take() {
                Some(Value::Object(details)) => details,
                _ => Map::new(),
            };
            details.insert("fallbacks".into(), json!(self.said));
            f.details = Some(Value::Object(details));
            f.attempts = Some(f.attempts.unwrap_or(0) + before).filter(|n| *n > 0);
        })
    }
}

/// Whether another provider may do better. A request that is wrong is wrong everywhere, and what is
/// refused for its content is not to be asked for elsewhere; a wrong address (404, 405) and bad luck
/// (408, 409) are neither.
fn is_the_providers(error: &Error) -> bool {
    match error.code() {
        Code::BadRequest => matches!(error.fields().status, Some(404 | 405 | 408 | 409)),
        Code::Timeout => error.fields().phase != Some(Phase::Total),
        // Of its configuration; what is wrong with the call itself is said by nobody.
        Code::InvalidArgument => error.fields().provider.is_some(),
        // What a function of the user's calls so is a mistake in it; what a cassette lacks, it lacks
        // for all.
        Code::InvalidState => {
            error.fields().rethrow.is_none()
                && error.members().get("reason") != Some(&UNRECORDED.into())
        }
        code => matches!(
            code,
            Code::Auth
                | Code::RateLimited
                | Code::Overloaded
                | Code::ContextLength
                | Code::ServerError
                | Code::Network
                | Code::BadResponse
                | Code::NotFound
                | Code::Unsupported
                | Code::IoError
        ),
    }
}

/// What one provider said, as details tell it.
fn said(error: &Error, model: Option<&str>) -> Value {
    let fields = error.fields();
    let mut said = json!({ "code": error.code().name(), "message": error.message() });
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            said[key] = value;
        }
    };
    put("provider", json!(fields.provider));
    put("model", json!(model.filter(|model| !model.is_empty())));
    put("status", json!(fields.status));
    put("attempts", json!(fields.attempts));
    put("request_id", json!(fields.request_id));
    said
}
