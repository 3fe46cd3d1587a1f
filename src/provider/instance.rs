//! One configured provider: where it is, as whom it is asked, and how its requests went.

use std::path::Path;

use serde_json::{Map, Value};

use super::catalog::{self, Auth, Row, Version};
use super::limiter::Limiters;
use super::options::{Headers, headers, merge, portable, proxy};
use super::prices::{self, Prices};
use super::providers::Providers;
use super::reach::Reach;
use super::secret::{Secret, masked, of_members, of_proxy, of_request};
use super::source::check_model_path;
use super::stand::{MODEL, NOWHERE, Stand, Stands};
use super::wire::{Endpoint, Wire};
use crate::chat::Usage;
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
    pub reach: Reach,
    pub limiters: Limiters,
    key: Option<Secret>,
    pub outcome: Outcome,
    pub requests: u64,
    pub errors: u64,
    pub usage: Usage,
    pub last_error: Option<String>,
    /// When it was configured, as the list of all providers counts: another number each time.
    pub configured: u64,
    stands: Stands,
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

impl Ended<'_> {
    /// The tokens of an answer, or why there was none.
    pub fn usage(&self) -> std::result::Result<&Usage, Code> {
        match self {
            Ended::Answered(usage) => Ok(usage),
            Ended::Failed(error) | Ended::Stopped(error) => Err(error.code()),
        }
    }
}

impl Provider {
    pub(super) fn new(id: String, row: &'static Row, stands: &Stands) -> Provider {
        Provider {
            id,
            row,
            own: false,
            name: None,
            options: Map::new(),
            reach: Reach::default(),
            limiters: Limiters::default(),
            key: None,
            outcome: Outcome::Unused,
            requests: 0,
            errors: 0,
            usage: Usage::default(),
            last_error: None,
            configured: 0,
            stands: stands.clone(),
        }
    }

    /// From a configuration that stands where it is used. Its type has to do as an id.
    pub fn own(config: &Options<'_>, providers: &Providers, path: &str) -> Result<Provider> {
        let row = row_of(config, path)?;
        let (options, reach) = Reach::split(config, providers, path)?;
        let mut provider = Provider::new(row.name.to_owned(), row, &providers.stands);
        provider.own = true;
        provider.configure(options, &reach);
        Ok(provider)
    }

    /// A provider stays of the type it was created with.
    pub(super) fn check_type(&self, options: &Map<String, Value>) -> Result<()> {
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
    pub(super) fn configure(&mut self, mut options: Map<String, Value>, reach: &Reach) {
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
        self.reach.configure(reach);
    }

    fn text(&self, key: &str) -> Option<String> {
        self.options.get(key).and_then(Value::as_str).map(str::to_owned)
    }

    /// A configuration for another process, without what is secret: the key is in its environment.
    pub fn portable(&self) -> Map<String, Value> {
        let mut all = portable(&self.options);
        all.insert("type".into(), self.row.name.into());
        all.shift_remove("name");
        if let Some(Value::String(url)) = all.get_mut("base_url") {
            *url = without_userinfo(url);
        }
        all
    }

    pub fn base_url(&self) -> String {
        if let Some(address) = self.stand().as_ref().and_then(Stand::address) {
            return address.to_owned();
        }
        let from_env = || from_env(self.row.base_env).map(|url| with_path(url, self.row.base_path));
        let url = self.text("base_url").or_else(from_env);
        let url = url.unwrap_or_else(|| self.row.base_url.to_owned());
        url.trim_end_matches('/').to_owned()
    }

    /// What answers in its place.
    pub fn stand(&self) -> Option<Stand> {
        self.stands.of(self)
    }

    /// A model file that the module runs itself, unless something else answers.
    pub fn model_path(&self) -> Option<String> {
        self.text("model_path").filter(|_| self.stand().is_none())
    }

    /// The model asked where a call names none; empty: the first one the server lists.
    pub fn model(&self) -> String {
        let configured = self.text("model").or_else(|| from_env(self.row.model_env));
        configured.unwrap_or_else(|| match self.row.default_model {
            "" if self.stand().is_some() => MODEL.to_owned(),
            usual => usual.to_owned(),
        })
    }

    /// The same for embeddings.
    pub fn embed_model(&self) -> String {
        // A file holds one model.
        let file = self.model_path();
        let file = file.as_deref().and_then(|path| Path::new(path).file_stem()?.to_str());
        let usual = || file.unwrap_or(self.row.embed_model).to_owned();
        self.text("embed_model").unwrap_or_else(usual)
    }

    pub fn prices(&self) -> Prices {
        Prices::of(&self.options)
    }

    pub(super) fn key(&self) -> Option<Secret> {
        self.key.clone().or_else(|| self.row.key_from_env().map(Secret::new))
    }

    /// All that is known of it and that nobody may see.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let Provider { options, .. } = self;
        let given = |key| options.get(key);
        let headers = headers(given("headers"));
        let headers = headers.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let mut all = of_request(&self.base_url(), &headers.collect::<Vec<_>>());
        all.extend(self.key());
        all.extend(given("extra").and_then(Value::as_object).map(of_members).unwrap_or_default());
        all.extend(of_proxy(&proxy(given("proxy"))));
        all
    }

    /// Whether a header that is configured stands where the key would.
    fn shows_another(&self) -> bool {
        self.row.auth.is_among(&headers(self.options.get("headers")))
    }

    /// Whether nothing is missing to be answered.
    fn is_let_in(&self) -> bool {
        self.has_key() || self.shows_another() || self.stand().is_some()
    }

    pub fn has_key(&self) -> bool {
        self.key().is_some()
    }

    pub fn enabled(&self) -> bool {
        self.options.get("enabled").and_then(Value::as_bool).unwrap_or(true)
    }

    /// A `provider.Status` string.
    pub fn status(&self) -> &'static str {
        if !self.enabled() || !self.row.built() || (self.row.needs_key && !self.is_let_in()) {
            return "inactive";
        }
        match self.outcome {
            Outcome::Unused => "initializing",
            Outcome::Succeeded => "active",
            Outcome::Failed => "error",
        }
    }

    /// Where and as whom to ask. Without a key where one is needed, and without a header `given` in
    /// its place: `auth`, before any network use.
    pub fn endpoint(&self, given: &Headers) -> Result<(Endpoint, Option<Secret>)> {
        if !self.enabled() {
            return Err(Error::state(format!("provider {:?} is disabled", self.id)));
        }
        let (key, mut base_url) = (self.key(), self.base_url());
        let mocked = self.stand().is_some();
        if key.is_none() && self.row.needs_key && !self.row.auth.is_among(given) && !mocked {
            return Err(self.no_key());
        }
        match base_url.as_str() {
            "" if mocked => base_url = NOWHERE.to_owned(),
            "" => return Err(self.no_address()),
            _ => {}
        }
        let mut headers = Vec::new();
        headers.extend(key.as_ref().map(|key| shown_as(self.row.auth, key)));
        self.say_version(&mut headers, &mut base_url);
        let named = [("OpenAI-Organization", "organization"), ("OpenAI-Project", "project")];
        for (header, option) in named {
            headers.extend(self.text(option).map(|value| (header.to_owned(), value)));
        }
        Ok((Endpoint { base_url, headers, kind: self.row.name }, key))
    }

    /// The protocol it is spoken to in.
    pub fn wire(&self) -> Result<&'static dyn Wire> {
        self.row.wire(self.options.get("api").and_then(Value::as_str))
    }

    fn say_version(&self, headers: &mut Vec<(String, String)>, base_url: &mut String) {
        let given = self.text("api_version");
        let said = |usual: &str| given.clone().unwrap_or_else(|| usual.to_owned());
        match self.row.version {
            Some(Version::Header(name, usual)) => headers.push((name.to_owned(), said(usual))),
            // A path of its own has its version in it, unless one is named.
            Some(Version::Query(name, usual))
                if !base_url.contains(name)
                    && (given.is_some() || base_url.contains("/deployments/")) =>
            {
                let mark = if base_url.contains('?') { '&' } else { '?' };
                base_url.push_str(&format!("{mark}{name}={}", said(usual)));
            }
            _ => {}
        }
    }

    fn no_address(&self) -> Error {
        let (id, env) = (&self.id, self.row.base_env);
        Error::invalid(format!("base_url: provider {id:?} has none; give it one, or set {env}"))
    }

    fn no_key(&self) -> Error {
        let (id, env) = (&self.id, self.row.key_env.first().copied().unwrap_or_default());
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
    pub(super) fn info(&self, is_default: bool) -> Record {
        let embeds = self.abilities().embeddings.is_some();
        let embed_model = Some(self.embed_model()).filter(|model| embeds && !model.is_empty());
        let mut record = self
            .summary(is_default)
            .set("capabilities", self.capabilities())
            .set("embed_model", embed_model)
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
                record.put(key.clone(), masked(key, value));
            }
        }
        self.reach.show(&mut record);
        record
    }
}

/// The type that a configuration names, if it can be used as it is configured.
pub(super) fn row_of(config: &Options<'_>, path: &str) -> Result<&'static Row> {
    let Some(kind) = config.text("type") else {
        return Err(Error::invalid(format!(
            "{path}.type: expected a provider type such as \"openai\", got nil"
        )));
    };
    let row = catalog::require(&kind).map_err(|error| error.at(&format!("{path}.type")))?;
    row.wire(config.text("api").as_deref()).map_err(|error| error.at(path))?;
    if config.get("model_path").is_some() {
        check_model_path(row, path)?;
    }
    prices::check(&config.to_map(), path)?;
    Ok(row)
}

fn shown_as(auth: Auth, key: &Secret) -> (String, String) {
    match auth {
        Auth::Bearer => ("Authorization".to_owned(), format!("Bearer {}", key.expose())),
        Auth::Header(name) => (name.to_owned(), key.expose().to_owned()),
    }
}

/// Variables often hold a bare host: it gets a scheme and the usual path.
fn with_path(value: String, usual: &str) -> String {
    let url = if value.contains("://") { value } else { format!("http://{value}") };
    let path =
        url.split_once("://").map_or("", |(_, rest)| rest.find('/').map_or("", |at| &rest[at..]));
    if path.trim_end_matches('/').is_empty() {
        format!("{}{usual}", url.trim_end_matches('/'))
    } else {
        url
    }
}

/// The URL without `user:password@` and without a query: both may hold secrets. A password with a
/// slash in it makes no URL, but is one all the same.
pub fn without_userinfo(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(s, rest)| (s, rest));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if scheme.is_empty() { rest.to_owned() } else { format!("{scheme}://{rest}") }
}

pub(super) fn from_env(name: &str) -> Option<String> {
    if name.is_empty() {
        return None;
    }
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_host_becomes_a_url() {
        assert_eq!(with_path("box:11434".into(), "/v1"), "http://box:11434/v1");
        assert_eq!(with_path("https://box/".into(), "/v1"), "https://box/v1");
        assert_eq!(with_path("http://box/api".into(), "/v1"), "http://box/api");
    }
}
