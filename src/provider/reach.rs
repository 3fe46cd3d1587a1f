//! Options that are no plain data: whom to ask where a provider fails, and the user's own HTTP
//! client. They are kept beside the other options and laid over each other like them.

use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::fallback::{FALLBACK, Fallback};
use super::providers::Providers;
use crate::error::Result;
use crate::shape::{Field, Kind, Options, Shape};
use crate::value::{Record, Slot};

pub static REACH: Shape = Shape::new(
    "Reach",
    &[
        Field::new(
            "fallback",
            Kind::List(&ENTRY),
            "none",
            "asked in this order where a provider fails before the first chunk: ids, names, types, \
             configurations, or `{provider=, model=}`",
        ),
        TRANSPORT,
    ],
    &[],
);

pub const TRANSPORT: Field = Field::new(
    "transport",
    Kind::Function,
    "built in",
    "`function(request)` makes the HTTP request (`{method, url, headers, body, timeout_ms, stream}`) and \
     returns `{status=, headers=, body=}`, or `nil, message`; may wait, and call `request.stream(bytes)`",
);

static ENTRY: Kind = Kind::OneOf(&[Kind::Id("a provider"), Kind::Table(&FALLBACK)]);

/// `None` is what was not said: then a layer below decides.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    fallback: Option<Rc<[Fallback]>>,
    transport: Option<Option<Slot>>,
}

impl Reach {
    /// The options that are plain data, and what the others say, with null for "none"; `path` is how
    /// messages call the options.
    pub fn split(
        options: &Options<'_>,
        providers: &Providers,
        path: &str,
    ) -> Result<(Map<String, Value>, Reach)> {
        let mut map = options.to_map();
        map.shift_remove("fallback");
        map.shift_remove("transport");
        let fallback = match options.get("fallback") {
            Some(list) => Some(Fallback::list(list, providers, path)?),
            None => options.unsets("fallback").then(|| Rc::from([])),
        };
        let function = options.function("transport").map(Some);
        let transport = function.or_else(|| options.unsets("transport").then_some(None));
        Ok((map, Reach { fallback, transport }))
    }

    /// Nothing but whom to ask besides.
    pub fn of_fallback(list: Vec<Fallback>) -> Reach {
        Reach { fallback: Some(list.into()), transport: None }
    }

    /// With what `nearer` says instead.
    #[must_use]
    pub fn under(&self, nearer: &Reach) -> Reach {
        Reach {
            fallback: nearer.fallback.clone().or_else(|| self.fallback.clone()),
            transport: nearer.transport.clone().or_else(|| self.transport.clone()),
        }
    }

    /// As a configuration is changed: null restores the default.
    pub fn configure(&mut self, given: &Reach) {
        *self = self.under(given);
        self.fallback = self.fallback.take().filter(|list| !list.is_empty());
        self.transport = self.transport.take().filter(Option::is_some);
    }

    pub fn is_said(&self) -> bool {
        self.fallback.is_some() || self.transport.is_some()
    }

    pub fn fallback(&self) -> &[Fallback] {
        self.fallback.as_deref().unwrap_or_default()
    }

    pub fn transport(&self) -> Option<Slot> {
        self.transport.clone().flatten()
    }

    /// As infos show it.
    pub fn show(&self, record: &mut Record) {
        if let Some(list) = &self.fallback {
            let list: Vec<Value> = list.iter().map(Fallback::shown).collect();
            record.put("fallback", json!(list));
        }
        record.put("transport", self.transport().is_some().then_some(true));
    }
}
