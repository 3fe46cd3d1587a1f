//! Configured providers: the default one of each kind, and those a program created.

use serde_json::{Map, Value, json};

use super::catalog::{self, ROWS, Row};
use super::options::merge;
use super::secret::Secret;
use super::source::check_model_path;
use super::whom::Whom;
use super::wire::{Endpoint, Model};
use crate::chat::Usage;
use crate::clock::Moment;
use crate::error::{Code, Error, Result, quoted};
use crate::shape::Options;
use crate::value::Record;

/// One configured provider.
#[derive(Debug)]
pub struct Provider {
    pub id: String,
    pub row: &'static Row,
    /// It lives with one call or agent.
    own: bool,
    pub name: Option<String>,
    /// Everything configured but the key.
    pub options: Map<String, Value>,
    key: Option<Secret>,
    pub outcome: Outcome,
    pub requests: u64,
    pub errors: u64,
    pub usage: Usage,
    pub last_error: Option<String>,
    /// Remembered until a moment.
    models: Option<(Vec<Model>, Moment)>,
}

/// How the last request went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    #[default]
    Unused,
    Succeeded,
    Failed,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug)]
pub enum Ended<'e> {
    Answered(Usage),
    Failed(&'e Error),
    /// By whoever had asked.
    Stopped(&'e Error),
}

impl Provider {
    fn new(id: String, row: &'static Row) -> Provider {
        Provider {
            id,
            row,
            own: false,
            name: None,
            options: Map::new(),
            key: None,
            outcome: Outcome::Unused,
            requests: 0,
            errors: 0,
            usage: Usage::default(),
            last_error: None,
            models: None,
        }
    }

    /// From a configuration that stands where it is used. Its type has to do as an id.
    pub fn own(config: &Options<'_>, path: &str) -> Result<Provider> {
        let row = row_of(config, path)?;
        let mut provider = Provider::new(row.name.to_owned(), row);
        provider.own = true;
        provider.configure(config.to_map());
        Ok(provider)
    }

    /// The list of models, if it is still remembered.
    pub fn models(&self, now: Moment) -> Option<Vec<Model>> {
        self.models.as_ref().filter(|(_, until)| now < *until).map(|(models, _)| models.clone())
    }

    pub fn remember_models(&mut self, models: Vec<Model>, until: Moment) {
        self.models = Some((models, until));
    }

    /// A provider stays of the type it was created with.
    fn check_type(&self, options: &Map<String, Value>) -> Result<()> {
        let given = options.get("type").and_then(Value::as_str);
        let Some(given) = given.filter(|name| !self.is_of(name)) else { return Ok(()) };
        Err(Error::invalid(format!(
            "config.type: provider {} is of type {:?}, which cannot become {}",
            self.id,
            self.row.name,
            quoted(given)
        )))
    }

    fn is_of(&self, kind: &str) -> bool {
        catalog::find(kind).is_some_and(|row| row.name == self.row.name)
    }

    /// Merges options; null restores the default. The key never stays among the options.
    fn configure(&mut self, mut options: Map<String, Value>) {
        match options.shift_remove("api_key") {
            Some(Value::String(key)) => self.key = Some(Secret::new(key)),
            Some(Value::Null) => self.key = None,
            _ => {}
        }
        options.shift_remove("type");
        if let Some(name) = options.shift_remove("name") {
            self.name = name.as_str().map(str::to_owned);
        }
        merge(&mut self.options, &options);
        self.models = None;
    }

    fn text(&self, key: &str) -> Option<String> {
        self.options.get(key).and_then(Value::as_str).map(str::to_owned)
    }

    pub fn base_url(&self) -> String {
        let url = self.text("base_url").or_else(|| from_env(self.row.base_env).map(ollama_host));
        let url = url.unwrap_or_else(|| self.row.base_url.to_owned());
        url.trim_end_matches('/').to_owned()
    }

    /// A model file that the module runs itself.
    pub fn model_path(&self) -> Option<String> {
        self.text("model_path")
    }

    /// The model asked where a call names none; empty: the first one the server lists.
    pub fn model(&self) -> String {
        let configured = self.text("model").or_else(|| from_env(self.row.model_env));
        configured.unwrap_or_else(|| self.row.default_model.to_owned())
    }

    fn key(&self) -> Option<Secret> {
        self.key.clone().or_else(|| from_env(self.row.key_env).map(Secret::new))
    }

    pub fn has_key(&self) -> bool {
        self.key().is_some()
    }

    pub fn enabled(&self) -> bool {
        self.options.get("enabled").and_then(Value::as_bool).unwrap_or(true)
    }

    /// A `provider.Status` string.
    pub fn status(&self) -> &'static str {
        if !self.enabled() || !self.row.built || (self.row.needs_key && !self.has_key()) {
            return "inactive";
        }
        match self.outcome {
            Outcome::Unused => "initializing",
            Outcome::Succeeded => "active",
            Outcome::Failed => "error",
        }
    }

    /// Where and as whom to ask. Without a key where one is needed: `auth`, before any network use.
    pub fn endpoint(&self) -> Result<(Endpoint, Option<Secret>)> {
        if !self.enabled() {
            return Err(Error::state(format!("provider {:?} is disabled", self.id)));
        }
        let key = self.key();
        if key.is_none() && self.row.needs_key {
            return Err(self.no_key());
        }
        let mut headers = Vec::new();
        if let Some(key) = &key {
            headers.push(("Authorization".to_owned(), format!("Bearer {}", key.expose())));
        }
        let named = [("OpenAI-Organization", "organization"), ("OpenAI-Project", "project")];
        for (header, option) in named {
            headers.extend(self.text(option).map(|value| (header.to_owned(), value)));
        }
        Ok((Endpoint { base_url: self.base_url(), headers }, key))
    }

    fn no_key(&self) -> Error {
        let (id, env) = (&self.id, self.row.key_env);
        let how = match self.own {
            true => "give it an api_key".to_owned(),
            false => format!("provider.configure('{id}', {{api_key=…}})"),
        };
        let message = format!("no API key: set {env} or {how}; in nginx also `env {env};`");
        Error::new(Code::Auth, message).with(|f| f.provider = Some(id.clone()))
    }

    /// Counts a finished exchange.
    pub fn record(&mut self, ended: Ended<'_>) {
        self.requests += 1;
        match ended {
            Ended::Answered(usage) => {
                self.usage.add(&usage);
                self.outcome = Outcome::Succeeded;
            }
            Ended::Failed(error) => {
                self.fail(error);
                self.outcome = Outcome::Failed;
            }
            Ended::Stopped(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: &Error) {
        self.errors += 1;
        self.last_error = Some(error.to_string());
    }

    pub fn summary(&self, is_default: bool) -> Record {
        Record::new()
            .set("id", self.id.as_str())
            .set("name", self.name.clone().unwrap_or_else(|| self.id.clone()))
            .set("type", self.row.name)
            .set("status", self.status())
            .set("model", Some(self.model()).filter(|model| !model.is_empty()))
            .set("base_url", without_userinfo(&self.base_url()))
            .set("is_default", is_default)
    }
}

impl Provider {
    fn info(&self, is_default: bool) -> Record {
        let embedded = self.model_path().is_some();
        let capabilities = json!({
            "streaming": self.row.built, "tools": self.row.built && !embedded, "vision": self.row.built && !embedded,
            "json_schema": self.row.built, "embeddings": false, "count_tokens": false,
        });
        let mut record = self
            .summary(is_default)
            .set("capabilities", capabilities)
            .set("has_key", self.has_key())
            .set("requests", self.requests)
            .set("errors", self.errors)
            .set("usage", self.usage.to_record())
            .set("last_error", self.last_error.clone());
        for (key, value) in &self.options {
            // Headers and proxies may hold secrets.
            if record.get(key).is_none()
                && !matches!(key.as_str(), "headers" | "proxy" | "base_url")
            {
                record.put(key.clone(), value.clone());
            }
        }
        record
    }
}

/// The type that a configuration names, if it can be used as it is configured.
fn row_of(config: &Options<'_>, path: &str) -> Result<&'static Row> {
    let Some(kind) = config.text("type") else {
        return Err(Error::invalid(format!(
            "{path}.type: expected a provider type such as \"openai\", got nil"
        )));
    };
    let row = catalog::require(&kind)?;
    if config.get("model_path").is_some() {
        check_model_path(row, path)?;
    }
    Ok(row)
}

/// OLLAMA_HOST is often a bare `host:port`.
fn ollama_host(value: String) -> String {
    let url = if value.contains("://") { value } else { format!("http://{value}") };
    let path =
        url.split_once("://").map_or("", |(_, rest)| rest.find('/').map_or("", |at| &rest[at..]));
    if path.trim_end_matches('/').is_empty() {
        format!("{}/v1", url.trim_end_matches('/'))
    } else {
        url
    }
}

/// The URL without `user:password@` and without a query: both may hold secrets.
pub fn without_userinfo(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(s, rest)| (s, rest));
    let host = rest.split('/').next().unwrap_or_default();
    let rest = host.rsplit_once('@').map_or(rest, |(user, _)| &rest[user.len() + 1..]);
    if scheme.is_empty() { rest.to_owned() } else { format!("{scheme}://{rest}") }
}

fn from_env(name: &str) -> Option<String> {
    if name.is_empty() {
        return None;
    }
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// All providers of one instance of the module.
#[derive(Debug, Default)]
pub struct Providers {
    last: u64,
    all: Vec<Provider>,
}

impl Providers {
    pub fn create(&mut self, config: &Options<'_>) -> Result<String> {
        let row = row_of(config, "config")?;
        let options = config.to_map();
        self.check_name(&options, None)?;
        self.last += 1;
        let mut provider = Provider::new(format!("provider_{}", self.last), row);
        provider.configure(options);
        self.all.push(provider);
        Ok(format!("provider_{}", self.last))
    }

    /// The provider to ask.
    pub fn ask<'p>(&'p mut self, whom: &'p Whom) -> Result<&'p Provider> {
        match whom {
            Whom::Known(key) => self.resolve(key).map(|provider| &*provider),
            Whom::Own(provider) => Ok(provider),
        }
    }

    /// The provider of that id or name, or the default instance of that kind, made at first use.
    pub fn resolve(&mut self, key: &str) -> Result<&mut Provider> {
        if let Some(at) = self.position(key) {
            return Ok(&mut self.all[at]);
        }
        let Some(row) = catalog::find(key) else { return Err(Error::not_found("provider", key)) };
        catalog::require(row.name)?;
        self.all.push(Provider::new(row.name.to_owned(), row));
        let at = self.all.len() - 1;
        Ok(&mut self.all[at])
    }

    pub fn configure(&mut self, key: &str, options: Map<String, Value>) -> Result<()> {
        let provider = self.resolve(key)?;
        provider.check_type(&options)?;
        if options.get("model_path").is_some_and(|path| !path.is_null()) {
            check_model_path(provider.row, "config")?;
        }
        let id = provider.id.clone();
        self.check_name(&options, Some(&id))?;
        self.resolve(&id)?.configure(options);
        Ok(())
    }

    /// A name must be free, or the own one of the provider `of`.
    fn check_name(&self, options: &Map<String, Value>, of: Option<&str>) -> Result<()> {
        let Some(name) = options.get("name").and_then(Value::as_str) else { return Ok(()) };
        let owner = self.find(name).map(|provider| provider.id.as_str());
        let owner = owner.or_else(|| catalog::find(name).map(|row| row.name));
        if owner.is_none() || owner == of {
            return Ok(());
        }
        let message = format!("a provider named {} exists already", quoted(name));
        Err(Error::new(Code::AlreadyExists, message))
    }

    /// An existing provider; never makes one.
    pub fn find(&self, key: &str) -> Option<&Provider> {
        self.position(key).map(|at| &self.all[at])
    }

    /// The provider that was asked and had that id, if it is still configured.
    pub fn asked(&mut self, whom: &Whom, id: &str) -> Option<&mut Provider> {
        match whom {
            Whom::Known(_) => self.position(id).map(|at| &mut self.all[at]),
            Whom::Own(_) => None,
        }
    }

    fn position(&self, key: &str) -> Option<usize> {
        let kind = catalog::find(key).map_or(key, |row| row.name);
        let by_id = self.all.iter().position(|p| p.id == key || p.id == kind);
        by_id.or_else(|| self.all.iter().position(|p| p.name.as_deref() == Some(key)))
    }

    pub fn destroy(&mut self, key: &str) -> bool {
        match self.position(key) {
            Some(at) => {
                self.all.remove(at);
                true
            }
            None => false,
        }
    }

    /// Everything about one, as `provider.get` tells; a kind that was never used has its defaults.
    pub fn info(&self, key: &str, default: Option<&str>) -> Option<Record> {
        if let Some(provider) = self.find(key) {
            return Some(provider.info(default == Some(provider.id.as_str())));
        }
        let row = catalog::find(key)?;
        Some(Provider::new(row.name.to_owned(), row).info(default == Some(row.name)))
    }

    /// Created ones and the default kinds, as `provider.list` shows them.
    pub fn list(&self, default: Option<&str>) -> Vec<Record> {
        let is_default = |p: &Provider| default == Some(p.id.as_str());
        let kinds = ROWS.iter().map(|row| match self.find(row.name) {
            Some(provider) => provider.summary(is_default(provider)),
            None => {
                let provider = Provider::new(row.name.to_owned(), row);
                provider.summary(is_default(&provider))
            }
        });
        let made = self.all.iter().filter(|p| p.id != p.row.name).map(|p| p.summary(is_default(p)));
        kinds.chain(made).collect()
    }

    /// The id of the provider that is used where none is named, if there is no doubt.
    pub fn default_id(&self, configured: Option<&str>) -> Option<String> {
        let from_config = configured.map(str::to_owned).or_else(|| from_env("ZIGLLMS_PROVIDER"));
        from_config.or_else(|| match self.with_keys().as_slice() {
            [only] => Some((*only).to_owned()),
            _ => None,
        })
    }

    fn with_keys(&self) -> Vec<&'static str> {
        let has_key = |row: &&Row| !row.key_env.is_empty() && from_env(row.key_env).is_some();
        ROWS.into_iter().filter(has_key).map(|row| row.name).collect()
    }

    /// As [`Providers::default_id`]; doubt is an error that lists the choices.
    pub fn require_default(&self, configured: Option<&str>) -> Result<String> {
        self.default_id(configured).ok_or_else(|| {
            let choices = match self.with_keys().as_slice() {
                [] => "no API key is in the environment".to_owned(),
                several => format!("several have keys: {}", several.join(", ")),
            };
            Error::invalid(format!(
                "provider: none named and no default ({choices}): name one or set default_provider"
            ))
        })
    }

    pub fn clear(&mut self) {
        self.all.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_ollama_host_becomes_a_url() {
        assert_eq!(ollama_host("box:11434".into()), "http://box:11434/v1");
        assert_eq!(ollama_host("https://box/".into()), "https://box/v1");
        assert_eq!(ollama_host("http://box/api".into()), "http://box/api");
    }

    #[test]
    fn the_key_is_kept_apart_and_a_missing_one_says_what_to_do() {
        let mut providers = Providers::default();
        let options = json!({"api_key": "sk-CANARY", "base_url": "http://user:pw@127.0.0.1:1/v1/"});
        providers.configure("openai", options.as_object().unwrap().clone()).unwrap();
        let provider = providers.find("OpenAI").unwrap();
        assert!(!format!("{provider:?}").contains("CANARY"));
        assert_eq!(provider.base_url(), "http://user:pw@127.0.0.1:1/v1");
        assert!(provider.endpoint().unwrap().0.headers[0].1.contains("CANARY"));
        assert_eq!(without_userinfo(&provider.base_url()), "http://127.0.0.1:1/v1");
        assert_eq!(without_userinfo("user:pw@host:1"), "host:1");
        assert_eq!(without_userinfo("http://host/v1?key=CANARY"), "http://host/v1");
        let shown = format!("{:?}", provider.summary(true));
        assert!(!shown.contains("pw@"));
    }

    fn named(name: &str) -> Map<String, Value> {
        json!({ "name": name }).as_object().unwrap().clone()
    }

    #[test]
    fn unknown_kinds_and_ids_differ() {
        let mut providers = Providers::default();
        assert_eq!(providers.resolve("nope").unwrap_err().code(), Code::NotFound);
        assert_eq!(providers.resolve("anthropic").unwrap_err().code(), Code::Unsupported);
        providers.configure("openai", named("mine")).unwrap();
        assert_eq!(providers.find("mine").unwrap().id, "openai");
        let taken = providers.configure("local", named("mine")).unwrap_err();
        assert_eq!(taken.code(), Code::AlreadyExists);
        assert!(providers.destroy("mine"));
        assert!(!providers.destroy("openai"));
    }
}
