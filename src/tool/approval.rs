//! Whether somebody has to agree to a call before it is made.

use crate::shape::Options;
use crate::step::Returned;
use crate::value::{Data, Slot};

/// Whom to ask whether a call of a tool needs approval.
#[derive(Clone, Debug)]
pub enum Approval {
    Always,
    /// This function, about each call.
    Asks(Slot),
}

impl Approval {
    /// What a definition says.
    pub fn given(options: &Options<'_>) -> Option<Approval> {
        let asks = options.function("requires_approval").map(Approval::Asks);
        let always = options.bool("requires_approval") == Some(true);
        asks.or(always.then_some(Approval::Always))
    }

    /// As definitions show it.
    pub fn shown(&self) -> Data {
        match self {
            Approval::Always => Data::Bool(true),
            Approval::Asks(function) => Data::Slot(function.clone()),
        }
    }

    /// Whether what the function returned means yes: everything but false and a plain nil. Whoever
    /// says why there is no answer has not said no.
    pub fn is_needed(returned: &Returned) -> bool {
        let is_false = !returned.is_text && matches!(&returned.text, Ok(text) if text == "false");
        match &returned.value {
            None => returned.refusal.is_some(),
            Some(_) => !is_false,
        }
    }
}
