//! A provider that is ready to be asked, with everything said to it.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Map, Value};

use super::attempts::Attempts;
use super::exchange::Ask;
use super::fallback::{Fallback, Others};
use super::options;
use super::whom::Whom;
use crate::chat::Settings;
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::runtime::Runtime;

pub struct Target {
    pub whom: Whom,
    /// Id of the provider.
    pub id: String,
    /// What kind of provider it is.
    pub kind: &'static str,
    pub attempts: Attempts,
    /// Between two chunks.
    pub flush: Duration,
    pub model: String,
    pub settings: Settings,
}

impl Target {
    /// The main provider of a call, or else the first of the others that can be asked.
    pub fn first(
        runtime: &mut Runtime,
        ask: &Ask,
        others: &mut Others,
        total: Option<Moment>,
    ) -> Result<Target> {
        let model = Some(ask.request.model.clone()).filter(|model| !model.is_empty());
        let main = Fallback { whom: None, model };
        Target::next(runtime, ask, others, main, total)
    }

    /// `next`; where it cannot be asked, the first of the others that can.
    pub fn next(
        runtime: &mut Runtime,
        ask: &Ask,
        others: &mut Others,
        mut next: Fallback,
        total: Option<Moment>,
    ) -> Result<Target> {
        loop {
            match Target::of(runtime, ask, next, total) {
                Err(error) => next = others.after(error, None)?,
                target => return target,
            }
        }
    }

    fn of(
        runtime: &mut Runtime,
        ask: &Ask,
        Fallback { whom, model }: Fallback,
        total: Option<Moment>,
    ) -> Result<Target> {
        let whom = whom.unwrap_or_else(|| ask.whom.clone());
        let options = said_to(&whom, ask);
        let label = whom.label().to_owned();
        let gone = |error: Error| error.with(|f| f.provider = Some(label));
        let provider = runtime.providers.ask(&whom).map_err(gone)?;
        let all = options::lay([&runtime.config.http, &provider.options, options.as_ref()]);
        // What is wrong with these is wrong for everybody.
        let settings = options::settings(&all)?;
        let network = options::network(&all, total);
        let (id, kind) = (provider.id.clone(), provider.row.name);
        let attempts = Attempts::of(provider, &network, &ask.reach, &runtime.clock)
            .map_err(|error| error.with(|f| f.provider = Some(id.clone())))?;
        Ok(Target {
            attempts,
            flush: network.flush,
            model: model.unwrap_or_else(|| provider.model()),
            settings,
            id,
            kind,
            whom,
        })
    }
}

/// The options of a call as they go to one provider. What a call says to its own provider is not
/// for others: their headers, what is extra in their requests and their rate limits are their own.
fn said_to<'a>(whom: &Whom, ask: &'a Ask) -> Cow<'a, Map<String, Value>> {
    let mut options = Cow::Borrowed(&ask.options);
    if !whom.is_same(&ask.whom) {
        let own = |key: &str| matches!(key, "headers" | "extra" | "rate_limit");
        options.to_mut().retain(|key, _| !own(key));
    }
    options
}
