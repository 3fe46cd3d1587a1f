//! The event that a request is made again.

use crate::error::Error;
use crate::event::Builtin;
use crate::runtime::Runtime;
use crate::value::{Failure, Record};

/// A request that is made again, here or elsewhere.
pub struct Retried<'r> {
    pub provider: &'r str,
    pub model: &'r str,
    /// Requests made so far.
    pub attempt: u32,
    /// Until the next one.
    pub ms: u64,
}

impl Retried<'_> {
    /// Tells `provider.retry`, if anybody hears it. `next` is the provider that is asked now, if
    /// another one.
    pub fn tell(self, runtime: &mut Runtime, next: Option<&str>, error: impl FnOnce() -> Error) {
        if !runtime.events.wants(Builtin::ProviderRetry) {
            return;
        }
        let data = Record::new()
            .set("provider", self.provider)
            .set("model", Some(self.model).filter(|model| !model.is_empty()))
            .set("attempt", self.attempt)
            .set("delay_ms", self.ms)
            .set("next_provider", next);
        let failure = Failure { error: error(), function: "provider.chat" };
        runtime.events.tell(Builtin::ProviderRetry, data, Some(failure));
    }
}
