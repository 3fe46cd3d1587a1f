//! A run as hooks and events see it, and what hooks make of it.

use super::Run;
use crate::agent::record;
use crate::chat::messages::to_json;
use crate::chat::{Content, Role};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Given, Output};
use crate::value::{Data, Record, Ref};

impl Run {
    /// Whose run it is; of the first one it says so.
    pub(super) fn who(&self, runtime: &Runtime) -> Record {
        let agent = runtime.agents.get(self.plan.agent);
        let ran = agent.is_some_and(|agent| agent.has_run());
        let session = Some(self.plan.session.as_str()).filter(|session| !session.is_empty());
        Record::new()
            .set("agent_id", self.plan.agent_id.as_str())
            .set("agent_name", agent.map(|agent| agent.name.clone()))
            .set("session", session)
            .set("first_run", (!ran && !self.begun).then_some(true))
    }

    /// The text, where it is one; else the messages.
    pub(super) fn shown_input(&self) -> Data {
        match self.plan.input.as_slice() {
            [one] if one.role == Role::User && one.name.is_none() => match &one.content {
                Content::Text(text) => text.clone().into(),
                Content::Parts(_) => Data::Json([to_json(one)].into_iter().collect()),
            },
            all => Data::Json(all.iter().map(to_json).collect()),
        }
    }

    /// A text takes the place of the content; a table is the response, itself.
    pub(super) fn respond_instead(
        &mut self,
        runtime: &Runtime,
        given: &Given<'_>,
        own: Option<Output>,
    ) -> Result<Output> {
        let content = match given.value {
            Some(value) if value.as_str().is_some() => value.as_str(),
            Some(value) => value.get("content").and_then(Ref::as_str),
            None => None,
        };
        // What cannot be looked into may have it.
        let is_table = given.is_table && (content.is_some() || given.value.is_none());
        if content.is_none() && !is_table {
            return Err(Error::invalid("expected a response (a table with `content`) or a string"));
        }
        self.replaced = Some(content.unwrap_or_default().to_owned());
        let stops = matches!(own, Some(Output::Paused { .. }));
        if is_table && !self.plan.inner && !stops {
            return Ok(Output::Data(given.slot.clone().map_or(Data::Nil, Data::Slot)));
        }
        // What waits goes on waiting, whatever is said about it meanwhile.
        if let Some(Output::Paused { response, rest }) = own {
            let response = with_content(response, content.unwrap_or_default());
            return Ok(Output::Paused { response, rest });
        }
        let whole = own.map(Output::into_data);
        let whole = whole.unwrap_or_else(|| record::response(self, runtime, "stop"));
        let whole = with_content(whole, content.unwrap_or_default());
        let parsed = given.value.filter(|_| is_table).and_then(|value| value.get("parsed"));
        Ok(Output::Data(match parsed {
            Some(parsed) => with(whole, "parsed", parsed.to_json()),
            None => whole,
        }))
    }

    pub(super) fn told_of_response(&self, output: &Output) -> Record {
        let content = self.replaced.clone().or_else(|| match output {
            Output::Data(data) => super::content_of(data),
            _ => None,
        });
        Record::new()
            .set("content", content)
            .set("usage", self.ledger.usage.to_record())
            .set("finish_reason", finish_reason_of(output))
    }
}

fn finish_reason_of(output: &Output) -> Option<String> {
    let (Output::Data(data) | Output::Paused { response: data, .. }) = output else { return None };
    match data {
        Data::Record(record) => match record.get("finish_reason") {
            Some(Data::Text(reason)) => Some(reason.clone()),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn with_content(response: Data, content: &str) -> Data {
    with(response, "content", content)
}

fn with(response: Data, field: &'static str, value: impl Into<Data>) -> Data {
    let Data::Record(mut record) = response else { return response };
    record.fields.retain(|(name, _)| name != field);
    record.put(field, value);
    record.into()
}
