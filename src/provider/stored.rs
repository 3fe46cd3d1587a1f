//! Answers in the store, for other processes and for the next run of this one.
//!
//! A record holds the whole question, which is compared in full: the hash in its key only says where
//! to look. What cannot be read, or was written by another version, is no answer; and a store that
//! fails, or takes too long, keeps nobody from asking.

use std::task::Poll;

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use crate::clock::Moment;
use crate::error::Result;
use crate::optimize::Recall;
use crate::optimize::functions::{CHAT, EMBED, FUNCTIONS};
use crate::runtime::Runtime;
use crate::step::Token;
use crate::store::{Answer, Change, Pending, Question, Record, Space, UnixMs, Write};
use crate::value::glob;

/// How a record begins. Questions are written in another way by another version.
const FORMAT: &[u8] = concat!("zigllms answer 1 ", env!("CARGO_PKG_VERSION"), "\n").as_bytes();

/// Nobody waits longer for an answer that may not be there.
const PATIENCE_MS: u64 = 2000;

/// The question to the store that comes before the one to a provider.
#[derive(Debug, Default)]
pub enum Lookup {
    #[default]
    Not,
    Asked(Pending, Moment),
    Over,
}

impl Lookup {
    /// An answer that `read` can read. Pending: until [`end`](Lookup::end) one may still come.
    pub fn look<T>(
        &mut self,
        runtime: &mut Runtime,
        me: Token,
        recall: Option<&mut Recall>,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Poll<Option<T>>> {
        let Some(recall) = recall else { return Ok(Poll::Ready(None)) };
        if let Lookup::Not = self {
            *self = ask(runtime, me, recall)?;
        }
        let Lookup::Asked(pending, until) = self else { return Ok(Poll::Ready(None)) };
        let answer = match pending.take() {
            None if runtime.clock.now() < *until => return Ok(Poll::Pending),
            answer => answer,
        };
        *self = Lookup::Over;
        Ok(Poll::Ready(heard(runtime, recall, answer, read)))
    }

    /// When to go on without.
    pub fn end(&self) -> Option<Moment> {
        if let Lookup::Asked(_, until) = self { Some(*until) } else { None }
    }
}

fn ask(runtime: &mut Runtime, me: Token, recall: &Recall) -> Result<Lookup> {
    let waker = runtime.tasks.waker(me)?;
    let until = runtime.clock.now().after_ms(PATIENCE_MS);
    let (Some(store), Some(question)) = (runtime.backing(), recall.shared()) else {
        return Ok(Lookup::Over);
    };
    let keys = vec![key(recall.function(), question)];
    let pending = store.ask(Question::Get { space: Space::Cache, keys }, waker);
    Ok(Lookup::Asked(pending, until))
}

/// What the store said; nothing: it took too long.
fn heard<T>(
    runtime: &mut Runtime,
    recall: &mut Recall,
    answer: Option<Result<Answer>>,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Option<T> {
    let Some(Ok(Answer::Records(records))) = answer else {
        // Nothing is queued for a store that fails.
        recall.keep_here();
        runtime.cache.count_failure();
        return None;
    };
    let record = records.into_iter().flatten().next();
    let read_record = |record: &Record| read(&answer_of(record, recall.shared()?)?);
    let found = record.as_ref().and_then(read_record);
    runtime.cache.count_stored(recall, found.is_some());
    if let Some(record) = record.filter(|_| found.is_some()) {
        let now = runtime.clock.unix_ms();
        recall.until(record.expires_at.map(|end| end.saturating_sub(now) as f64));
    }
    found
}

/// Hands an answer on to the store, which gets it with the next commit.
pub fn put(runtime: &mut Runtime, recall: &Recall, answer: impl FnOnce() -> Value) {
    let Some(question) = recall.shared() else { return };
    let ttl = runtime.cache.ttl(recall);
    let now = runtime.clock.unix_ms();
    let Some(store) = runtime.backing() else { return };
    // Nobody is held up for the sake of an answer that can be asked for again.
    if !store.has_room() {
        return runtime.cache.count_failure();
    }
    let expires_at = ttl.map(|ms| now.saturating_add(ms.ceil() as UnixMs));
    let change = Change::Put { bytes: bytes(question, &answer()), expires_at };
    let key = key(recall.function(), question);
    let write = Write { space: Space::Cache, key, change, only_if: None };
    if runtime.tell_store(vec![write]).is_err() {
        runtime.cache.count_failure();
    }
}

/// Drops the answers in the store of the functions whose names match.
pub fn clear(runtime: &mut Runtime, pattern: Option<&str>) -> Result<()> {
    let named = |name| pattern.is_none_or(|pattern| glob::matches(pattern, name));
    let all = [CHAT, EMBED].map(name).into_iter().filter(|name| named(name));
    let writes = all.map(|name| Write {
        space: Space::Cache,
        key: prefix(name),
        change: Change::DeleteAll,
        only_if: None,
    });
    runtime.tell_store(writes.collect())
}

fn name(function: usize) -> &'static str {
    FUNCTIONS.get(function).map_or("", |function| function.name)
}

fn prefix(name: &str) -> Vec<u8> {
    [name.as_bytes(), b"\0"].concat()
}

fn key(function: usize, question: &[u8]) -> Vec<u8> {
    let mut key = prefix(name(function));
    key.extend_from_slice(&xxh3_128(question).to_be_bytes());
    key
}

/// The format, the length of the question, the question, the answer.
fn bytes(question: &[u8], answer: &Value) -> Vec<u8> {
    let length = (question.len() as u64).to_le_bytes();
    [FORMAT, &length, question, answer.to_string().as_bytes()].concat()
}

fn answer_of(record: &Record, question: &[u8]) -> Option<Value> {
    let rest = record.bytes.strip_prefix(FORMAT)?;
    let (length, rest) = rest.split_first_chunk()?;
    let (asked, answer) = rest.split_at_checked(u64::from_le_bytes(*length).try_into().ok()?)?;
    if asked == question { serde_json::from_slice(answer).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_answers_its_own_question_and_no_other() {
        let record = |bytes| Record { bytes, ..Record::default() };
        let whole = bytes(b"question", &json!({"a": [1.0, null]}));
        let answer = answer_of(&record(whole.clone()), b"question");
        assert_eq!(answer, Some(json!({"a": [1.0, null]})));
        for other in [&b"questioN"[..], b"questio", b"question?", b""] {
            assert_eq!(answer_of(&record(whole.clone()), other), None);
        }
        for cut in 0..whole.len() {
            assert_eq!(answer_of(&record(whole[..cut].to_vec()), b"question"), None, "{cut}");
        }
        // What lies before the answer is compared in full.
        for at in 0..whole.len() - br#"{"a":[1.0,null]}"#.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert_eq!(answer_of(&record(flipped), b"question"), None, "{at}");
        }
    }
}
