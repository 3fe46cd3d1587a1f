//! What stands in the place of providers: functions and servers that answer instead of theirs, in the
//! words of the protocol that each of them speaks. Tests put them up; one function, the echo, is
//! always there for providers of the type "mock", and for all of them where `ZIGLLMS_MOCK` says so.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::catalog;
use super::instance::{Provider, from_env, without_userinfo};
use super::question::Question;
use super::secret::{Redactor, Secret, shown_headers};
use crate::chat::{Format, Settings, ToolChoice, ToolSpec, messages};
use crate::mock::Dialect;
use crate::net;
use crate::value::{Record, Slot};

/// Where a provider is that has no address of its own.
pub const NOWHERE: &str = "http://mock.invalid";
/// The model of a provider that has none of its own: its list is not asked for one.
pub const MODEL: &str = "mock";
/// The kind that the echo answers for, and the variable that lets it answer for every kind.
pub const MOCK: &str = "mock";
const EVERYWHERE: &str = "ZIGLLMS_MOCK";

/// The number of the echo; those that tests put up count from 1.
const ECHO: u64 = 0;

/// All of one instance of the module; its providers look into the same list.
#[derive(Clone, Debug, Default)]
pub struct Stands(Rc<RefCell<List>>);

#[derive(Debug, Default)]
struct List {
    last: u64,
    all: Vec<Stand>,
    echo: Option<Slot>,
}

/// Who answers in place of a provider's server.
#[derive(Clone, Debug)]
pub enum By {
    Function(Slot),
    /// Another server, at that address.
    Server(Box<str>),
}

/// What stands in for a provider.
#[derive(Clone, Debug)]
pub struct Stand {
    pub number: u64,
    pub by: By,
    /// Id, name or type of whom it stands in for.
    whom: Box<str>,
}

impl Stands {
    /// Gives its number.
    pub fn put(&self, whom: &str, by: By) -> u64 {
        let mut list = self.0.borrow_mut();
        list.last += 1;
        let number = list.last;
        list.all.push(Stand { number, by, whom: whom.into() });
        number
    }

    /// Whether it was there.
    pub fn take(&self, number: u64) -> bool {
        let mut list = self.0.borrow_mut();
        let before = list.all.len();
        list.all.retain(|stand| stand.number != number);
        list.all.len() < before
    }

    pub fn clear(&self) {
        self.0.borrow_mut().all.clear();
    }

    /// What says again what was said, where nothing else stands.
    pub fn put_echo(&self, function: Slot) {
        self.0.borrow_mut().echo = Some(function);
    }

    /// The latest one for that provider.
    pub fn of(&self, provider: &Provider) -> Option<Stand> {
        let list = self.0.borrow();
        let put_up = list.all.iter().rfind(|stand| stand.is_for(provider));
        put_up.cloned().or_else(|| list.echo_for(provider))
    }

    /// Whom all of them stand in for, if it is one.
    pub fn only(&self) -> Option<String> {
        let list = self.0.borrow();
        let first = list.all.first()?;
        list.all.iter().all(|stand| stand.whom == first.whom).then(|| first.whom.to_string())
    }
}

impl List {
    fn echo_for(&self, provider: &Provider) -> Option<Stand> {
        let function = self.echo.as_ref()?;
        let is_wanted = provider.row.name == MOCK || mocks_all();
        is_wanted.then(|| Stand {
            number: ECHO,
            by: By::Function(function.clone()),
            whom: provider.id.as_str().into(),
        })
    }
}

/// Whether the environment wants the echo in place of every provider. It is asked each time, as it
/// is for keys: scripts may set it.
pub fn mocks_all() -> bool {
    from_env(EVERYWHERE).is_some_and(|value| !matches!(value.as_str(), "0" | "false"))
}

impl Stand {
    pub fn function(&self) -> Option<&Slot> {
        match &self.by {
            By::Function(function) => Some(function),
            By::Server(_) => None,
        }
    }

    pub fn address(&self) -> Option<&str> {
        match &self.by {
            By::Function(_) => None,
            By::Server(address) => Some(address),
        }
    }

    /// A type is every provider of it.
    fn is_for(&self, provider: &Provider) -> bool {
        let named = *self.whom == *provider.id || Some(&*self.whom) == provider.name.as_deref();
        named || catalog::find(&self.whom).is_some_and(|row| row.name == provider.row.name)
    }
}

/// Whose requests are answered so, as the function is told.
#[derive(Debug)]
pub struct Scene {
    provider: String,
    model: String,
    dialect: Dialect,
}

impl Scene {
    pub fn of(provider: &Provider, dialect: Dialect) -> Scene {
        Scene { provider: provider.id.clone(), model: provider.model(), dialect }
    }

    /// What the function gets: what it needs to answer, and as `request` what users see of it.
    pub fn argument(
        &self,
        question: Question<'_>,
        request: &net::Request,
        secrets: &[Secret],
    ) -> Record {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        Record::new()
            .set("request", self.shown(question, request, secrets))
            .set("path", path_of(&request.url))
            .set("body", body)
            .set("dialect", self.dialect.name())
            .set("model", self.model.as_str())
    }

    fn shown(&self, question: Question<'_>, request: &net::Request, secrets: &[Secret]) -> Record {
        let redactor = Redactor::new(secrets);
        let body = serde_json::from_slice(&request.body).ok().map(|body| redactor.value(body));
        let mut headers = Record::new();
        for (name, value) in shown_headers(&request.headers) {
            headers.put(name, redactor.text(&value));
        }
        let stream = body.as_ref().and_then(|body: &Value| body["stream"].as_bool());
        neutral(question, &redactor)
            .set("stream", stream)
            .set("provider_id", self.provider.as_str())
            .set("dialect", self.dialect.name())
            .set("method", request.method)
            .set("url", redactor.text(&without_userinfo(&request.url)))
            .set("headers", headers)
            .set("body", body)
    }
}

fn path_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("/", |at| &rest[at..]).to_owned()
}

/// What is asked, in the words of the module.
fn neutral(question: Question<'_>, redactor: &Redactor) -> Record {
    match question {
        Question::Chat(request) => told("chat", request, redactor),
        Question::Count(count) => told("count", &count.request, redactor),
        Question::Models(_) => Record::new().set("kind", "models"),
        Question::Embed(embed) => Record::new()
            .set("kind", "embed")
            .set("model", embed.model.as_str())
            .set("texts", json!(embed.texts)),
    }
}

fn told(kind: &str, request: &crate::chat::Request, redactor: &Redactor) -> Record {
    let all: Value = request.messages.iter().map(messages::to_json).collect();
    let tools: Vec<Value> = request.tools.iter().map(tool).collect();
    let options = Value::Object(options(&request.settings));
    Record::new()
        .set("kind", kind)
        .set("model", request.model.as_str())
        .set("messages", redactor.value(all))
        .set("tools", Some(tools).filter(|tools| !tools.is_empty()).map(Value::from))
        .set("options", redactor.value(options))
}

fn tool(tool: &ToolSpec) -> Value {
    json!({
        "name": tool.name, "description": tool.description, "parameters": tool.parameters,
    })
}

/// Settings under the names that options have.
fn options(settings: &Settings) -> Map<String, Value> {
    let all = json!({
        "temperature": settings.temperature, "top_p": settings.top_p, "top_k": settings.top_k,
        "max_tokens": settings.max_tokens, "seed": settings.seed,
        "stop": Some(&settings.stop).filter(|stop| !stop.is_empty()),
        "presence_penalty": settings.presence_penalty,
        "frequency_penalty": settings.frequency_penalty, "reasoning": settings.reasoning,
        "tool_choice": settings.tool_choice.as_ref().map(choice),
        "parallel_tool_calls": settings.parallel_tool_calls,
        "response_format": settings.format.as_ref().map(format),
        "extra": Some(&settings.extra).filter(|extra| !extra.is_empty()),
    });
    let Value::Object(mut all) = all else { return Map::new() };
    all.retain(|_, value| !value.is_null());
    all
}

fn choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => json!({ "name": name }),
    }
}

fn format(format: &Format) -> Value {
    match format {
        Format::Json => "json".into(),
        Format::Schema { name, schema } => json!({ "name": name, "schema": schema }),
    }
}
