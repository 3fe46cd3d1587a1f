//! The providers of one instance of the module.

use serde_json::{Map, Value};

use super::catalog::{self, ROWS, Row, SERVICES};
use super::instance::{Provider, from_env, row_of};
use super::options::{headers, proxy};
use super::prices;
use super::reach::Reach;
use super::secret::{Secret, of_proxy, of_request};
use super::source::check_model_path;
use super::stand::{By, MOCK, Stands, mocks_all};
use super::whom::Whom;
use crate::error::{Code, Error, Result, quoted};
use crate::shape::Options;
use crate::value::{Record, Slot};

/// The default one of each kind, once it is used, and those a program created.
#[derive(Debug, Default)]
pub struct Providers {
    last: u64,
    all: Vec<Provider>,
    /// Counts changes of any of them: also what `list` and `get` tell of their requests.
    changes: u64,
    /// What answers in place of some of them.
    pub(super) stands: Stands,
}

impl Providers {
    /// Another number after any change.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Keeps a new provider.
    fn add(&mut self, mut provider: Provider) {
        self.changes += 1;
        provider.configured = self.changes;
        self.all.push(provider);
    }

    pub fn create(&mut self, config: &Options<'_>) -> Result<String> {
        let row = row_of(config, "config")?;
        let (options, reach) = Reach::split(config, self, "config")?;
        self.check_name(&options, None)?;
        self.last += 1;
        let mut provider = Provider::new(format!("provider_{}", self.last), row, &self.stands);
        provider.configure(options, &reach);
        self.add(provider);
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
            self.changes += 1;
            return Ok(&mut self.all[at]);
        }
        let Some(row) = catalog::find(key) else { return Err(Error::not_found("provider", key)) };
        catalog::require(row.name)?;
        self.add(Provider::new(row.name.to_owned(), row, &self.stands));
        let at = self.all.len() - 1;
        Ok(&mut self.all[at])
    }

    pub fn configure(
        &mut self,
        key: &str,
        options: Map<String, Value>,
        reach: &Reach,
    ) -> Result<()> {
        let provider = self.resolve(key)?;
        provider.check_type(&options)?;
        if let Some(api) = options.get("api").and_then(Value::as_str) {
            provider.row.wire(Some(api))?;
        }
        if options.get("model_path").is_some_and(|path| !path.is_null()) {
            check_model_path(provider.row, "config")?;
        }
        prices::check(&options, "config")?;
        let id = provider.id.clone();
        self.check_name(&options, Some(&id))?;
        let changes = self.changes + 1;
        let provider = self.resolve(&id)?;
        provider.configure(options, reach);
        provider.configured = changes;
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
            Whom::Known(_) => {
                let at = self.position(id)?;
                self.changes += 1;
                self.all.get_mut(at)
            }
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
                self.changes += 1;
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
        Some(self.unused(row).info(default == Some(row.name)))
    }

    fn unused(&self, row: &'static Row) -> Provider {
        Provider::new(row.name.to_owned(), row, &self.stands)
    }

    /// Has something else answer for a provider; gives the number that ends it.
    pub fn stand_in(&mut self, whom: &Whom, by: By) -> Result<u64> {
        whom.check(self)?;
        self.changes += 1;
        Ok(self.stands.put(whom.label(), by))
    }

    /// Ends that; whether it was still going on.
    pub fn stand_down(&mut self, number: u64) -> bool {
        self.changes += 1;
        self.stands.take(number)
    }

    /// Has that function answer for providers of the type "mock", and for all where that is wanted.
    pub fn echo(&mut self, function: Slot) {
        self.stands.put_echo(function);
    }

    /// Created ones and the default kinds, as `provider.list` shows them.
    pub fn list(&self, default: Option<&str>) -> Vec<Record> {
        let is_default = |p: &Provider| default == Some(p.id.as_str());
        let kinds = ROWS.iter().map(|row| match self.find(row.name) {
            Some(provider) => provider.summary(is_default(provider)),
            None => {
                let provider = self.unused(row);
                provider.summary(is_default(&provider))
            }
        });
        let listed = |p: &&Provider| ROWS.iter().any(|row| row.name == p.id);
        let made = self.all.iter().filter(|p| !listed(p)).map(|p| p.summary(is_default(p)));
        kinds.chain(made).collect()
    }

    /// The id of the provider that is used where none is named, if there is no doubt.
    pub fn default_id(&self, configured: Option<&str>) -> Option<String> {
        let from_config = configured.map(str::to_owned).or_else(|| from_env("ZIGLLMS_PROVIDER"));
        // What a test has put up does not depend on the keys that happen to be there.
        from_config.or_else(|| self.stands.only()).or_else(|| match self.with_keys().as_slice() {
            [only] => Some((*only).to_owned()),
            _ => mocks_all().then(|| MOCK.to_owned()),
        })
    }

    fn with_keys(&self) -> Vec<&'static str> {
        let has_key = |row: &&Row| row.key_from_env().is_some();
        let names = |rows: &[&'static Row]| -> Vec<_> {
            rows.iter().copied().filter(has_key).map(|row| row.name).collect()
        };
        // A key of a service is only looked for where no vendor has one.
        Some(names(&ROWS)).filter(|names| !names.is_empty()).unwrap_or_else(|| names(&SERVICES))
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

    /// What nobody may see of any of them, and of `http`, which goes for all.
    pub fn secrets(&self, http: &Map<String, Value>) -> Vec<Secret> {
        let from_env = ROWS.iter().chain(&SERVICES).filter_map(|row| row.key_from_env());
        let mut all: Vec<Secret> = from_env.map(Secret::new).collect();
        all.extend(self.all.iter().flat_map(Provider::secrets));
        let headers = headers(http.get("headers"));
        let headers = headers.into_iter().filter_map(|(name, value)| Some((name, value?)));
        all.extend(of_request("", &headers.collect::<Vec<_>>()));
        all.extend(of_proxy(&proxy(http.get("proxy"))));
        all
    }

    pub fn clear(&mut self) {
        self.changes += 1;
        self.all.clear();
        self.stands.clear();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::provider::without_userinfo;

    #[test]
    fn the_key_is_kept_apart_and_a_missing_one_says_what_to_do() {
        let mut providers = Providers::default();
        let options = json!({"api_key": "sk-CANARY", "base_url": "http://user:pw@127.0.0.1:1/v1/"});
        providers
            .configure("openai", options.as_object().unwrap().clone(), &Reach::default())
            .unwrap();
        let provider = providers.find("OpenAI").unwrap();
        assert!(!format!("{provider:?}").contains("CANARY"));
        assert_eq!(provider.base_url(), "http://user:pw@127.0.0.1:1/v1");
        assert!(provider.endpoint(&Vec::new()).unwrap().0.headers[0].1.contains("CANARY"));
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
        let api = json!({"api": "ollama"}).as_object().unwrap().clone();
        assert_eq!(
            providers.configure("openai", api, &Reach::default()).unwrap_err().code(),
            Code::Unsupported
        );
        providers.configure("openai", named("mine"), &Reach::default()).unwrap();
        assert_eq!(providers.find("mine").unwrap().id, "openai");
        let taken = providers.configure("local", named("mine"), &Reach::default()).unwrap_err();
        assert_eq!(taken.code(), Code::AlreadyExists);
        assert!(providers.destroy("mine"));
        assert!(!providers.destroy("openai"));
    }
}
