//! Whom a call or an agent asks.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::catalog;
use super::instance::Provider;
use super::options::{CONFIG, lay, total};
use super::providers::Providers;
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::shape::{Options, id_of};

/// A provider as options name it.
#[derive(Clone, Debug)]
pub enum Whom {
    /// Id, name or type; looked up at each question.
    Known(Box<str>),
    /// Configured where it is used: it lives with that call or agent, and is in no list.
    Own(Rc<Provider>),
}

impl Whom {
    /// What the option `provider` says; `path` is how messages call the options.
    pub fn given(options: &Options<'_>, providers: &Providers, path: &str) -> Result<Option<Whom>> {
        let Some(value) = options.get("provider") else { return Ok(None) };
        if let Some(key) = id_of(value) {
            return Ok(Some(Whom::Known(key.into())));
        }
        let config = Options::new(Some(value), &CONFIG);
        let provider = Provider::own(&config, providers, &format!("{path}.provider"))?;
        Ok(Some(Whom::Own(Rc::new(provider))))
    }

    /// The one asked where none is named.
    pub fn usual(runtime: &Runtime) -> Result<Whom> {
        let configured = runtime.config.default_provider.as_deref();
        Ok(Whom::Known(runtime.providers.require_default(configured)?.into()))
    }

    /// Fails if there is no such provider.
    pub fn check(&self, providers: &Providers) -> Result<()> {
        let Whom::Known(key) = self else { return Ok(()) };
        if providers.find(key).is_some() {
            return Ok(());
        }
        match catalog::find(key) {
            Some(row) => catalog::require(row.name).map(drop),
            None => Err(Error::not_found("provider", key)),
        }
    }

    /// As results and infos show it; a provider without an id goes by its type.
    pub fn label(&self) -> &str {
        match self {
            Whom::Known(key) => key,
            Whom::Own(provider) => &provider.id,
        }
    }

    /// Whether both are one provider, as far as their names tell.
    pub fn is_same(&self, other: &Whom) -> bool {
        match (self, other) {
            (Whom::Known(a), Whom::Known(b)) => a == b,
            (Whom::Own(a), Whom::Own(b)) => Rc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// The name of its type, if it exists.
    pub fn kind(&self, providers: &Providers) -> Option<&'static str> {
        let row = self.find(providers).map(|provider| provider.row);
        row.or_else(|| catalog::find(self.label())).map(|row| row.name)
    }

    fn find<'p>(&'p self, providers: &'p Providers) -> Option<&'p Provider> {
        match self {
            Whom::Known(key) => providers.find(key),
            Whom::Own(provider) => Some(provider),
        }
    }

    /// The end of a call that begins now: `timeout_ms` of the call, else of the provider, else the
    /// configured one.
    pub fn end(&self, runtime: &Runtime, call: &Map<String, Value>) -> Option<Moment> {
        let none = Map::new();
        let own = self.find(&runtime.providers).map_or(&none, |provider| &provider.options);
        let all = lay([&runtime.config.http, own, call]);
        total(&all).map(|span| runtime.clock.now().after(span))
    }
}
