//! What was asked.

use serde_json::Value;

use crate::chat::estimate;

/// A request as a server gets it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Of the address, perhaps with a query.
    pub path: &'a str,
    /// The decoded body; null where there is none.
    pub body: &'a Value,
    /// Which request it is, counted from 1: ids are made of it.
    pub number: u64,
    /// When it came, in Unix seconds.
    pub created: u64,
    /// The model listed, and the one that answers where the request names none.
    pub model: &'a str,
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Chat,
    Embeddings,
    /// The list of models.
    Models,
    Model(String),
    /// How many tokens something holds.
    Count,
    /// Nothing that is answered here.
    Unknown,
}

impl Subject {
    /// `chat` is how the path of a chat ends.
    pub fn of(path: &str, chat: &str) -> Subject {
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let last = |n: usize| path.rsplit('/').nth(n).unwrap_or_default();
        match (last(1), last(0)) {
            _ if path.ends_with(chat) => Subject::Chat,
            (_, "embeddings" | "embed") => Subject::Embeddings,
            (_, "models" | "tags") => Subject::Models,
            (_, "count_tokens" | "input_tokens" | "tokenize") => Subject::Count,
            ("models", name) => Subject::Model(name.to_owned()),
            _ => Subject::Unknown,
        }
    }
}

impl Asked<'_> {
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or(self.model)
    }

    /// Whether the answer is to be streamed, as far as the request says so.
    pub fn stream(&self) -> Option<bool> {
        self.body["stream"].as_bool()
    }

    /// An id of its own.
    pub fn name(&self, prefix: &str) -> String {
        format!("{prefix}_mock_{}", self.number)
    }

    /// An id of its own, as some servers make them.
    pub fn uuid(&self) -> String {
        format!("00000000-0000-4000-8000-{:012}", self.number)
    }

    /// When it came, as a date.
    pub fn timestamp(&self) -> String {
        timestamp(self.created)
    }

    /// What the texts in it would count as tokens, about.
    pub fn tokens(&self) -> u64 {
        const TOLD: [&str; 7] =
            ["messages", "system", "input", "instructions", "tools", "texts", "prompt"];
        let bytes: usize = TOLD.iter().map(|key| text_bytes(&self.body[*key])).sum();
        estimate::of_bytes(bytes).max(1)
    }
}

/// Bytes of all texts in a document.
fn text_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_bytes).sum(),
        Value::Object(members) => members.values().map(text_bytes).sum(),
        _ => 0,
    }
}

/// Unix seconds as RFC 3339 writes them.
fn timestamp(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March, counted from the year 0: leap days stand at their end.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    let year = era * 400 + year + next;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::fields::unix;

    #[test]
    fn dates_are_read_back() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        for seconds in (0..4_000_000_000).step_by(77_777_777) {
            assert_eq!(unix(&timestamp(seconds)), Some(seconds as f64));
        }
    }

    #[test]
    fn the_path_tells_what_is_asked() {
        let of = |path| Subject::of(path, "/chat/completions");
        assert_eq!(of("/v1/chat/completions?api-version=1"), Subject::Chat);
        assert_eq!(of("/v1/chat/completions/input_tokens"), Subject::Count);
        assert_eq!(of("/v1/embeddings"), Subject::Embeddings);
        assert_eq!(of("/v1/models?limit=1"), Subject::Models);
        assert_eq!(of("/v1/models/m"), Subject::Model("m".into()));
        assert_eq!(of("/v1/messages"), Subject::Unknown);
    }
}
