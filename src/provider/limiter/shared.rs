//! The minute of a limit that is counted in the store, for all who share it.
//!
//! The store has when each request of the last minute was sent and what it took, by the wall clock.
//! Whoever wants to send adds to that, or is told when there is room. Machines whose clocks differ
//! count a minute that is longer by as much.

use serde_json::{Value, json};

use super::{Allowance, MINUTE_MS};
use crate::chance;
use crate::clock::Clock;
use crate::error::{Code, Error, Result};
use crate::net::Waker;
use crate::store::{Change, Pending, Question, Record, Shared, Space, UnixMs};

/// The way of one call past it.
pub struct Shares {
    key: Vec<u8>,
    clock: Clock,
    /// The store that was asked first.
    store: Option<(Shared, Waker)>,
    asked: Option<Pending>,
    /// Number of the latest request.
    entered: Option<u64>,
}

impl std::fmt::Debug for Shares {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shares({:?})", String::from_utf8_lossy(&self.key))
    }
}

/// What the store says.
pub enum Verdict {
    Asking,
    Go,
    /// There is room in so many milliseconds.
    After(u64),
}

impl Shares {
    /// `whose` names the provider for everybody, `key` the user or tenant.
    pub fn new(whose: &str, key: &str, clock: Clock) -> Shares {
        let key = format!("{whose}\0{key}").into_bytes();
        Shares { key, clock, store: None, asked: None, entered: None }
    }

    /// Asks to send a request of so many tokens, or looks what became of that.
    pub fn ask(
        &mut self,
        store: impl FnOnce() -> Shared,
        waker: &Waker,
        allowed: Allowance,
        tokens: u64,
    ) -> Result<Verdict> {
        if self.asked.is_none() {
            let (store, _) = self.store.get_or_insert_with(|| (store(), waker.clone()));
            let (clock, number) = (self.clock.clone(), chance::random());
            let enter = move |old: Option<&Record>| {
                Minute::read(old, clock.unix_ms()).enter(allowed, tokens, number)
            };
            let question = Question::Update {
                space: Space::Limits,
                key: self.key.clone(),
                change: Box::new(enter),
            };
            self.asked = Some(store.ask(question, waker.clone()));
            self.entered = Some(number);
        }
        let Some(answer) = self.asked.as_ref().and_then(Pending::take) else {
            return Ok(Verdict::Asking);
        };
        self.asked = None;
        match answer {
            Ok(_) => Ok(Verdict::Go),
            Err(error) => match error.fields().retry_after_ms {
                Some(ms) => Ok(Verdict::After(ms)),
                None => Err(error),
            },
        }
    }

    /// What the latest request has turned out to take.
    pub fn correct(&mut self, tokens: u64) {
        let (Some((store, waker)), Some(number)) = (&self.store, self.entered.take()) else {
            return;
        };
        let clock = self.clock.clone();
        let change = move |old: Option<&Record>| {
            Ok(Minute::read(old, clock.unix_ms()).corrected(number, tokens))
        };
        let key = self.key.clone();
        let question = Question::Update { space: Space::Limits, key, change: Box::new(change) };
        // Nobody waits for it; it happens all the same.
        drop(store.ask(question, waker.clone()));
    }
}

/// Requests of the last minute, the oldest first.
struct Minute {
    now: UnixMs,
    sent: Vec<Sent>,
}

#[derive(Clone, Copy)]
struct Sent {
    at: UnixMs,
    tokens: u64,
    /// Names it, to correct it by.
    number: u64,
}

impl Minute {
    /// What cannot be read is no request.
    fn read(old: Option<&Record>, now: UnixMs) -> Minute {
        let list: Option<Value> = old.and_then(|old| serde_json::from_slice(&old.bytes).ok());
        let items = list.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let all = items.iter().filter_map(|item| {
            let number = |i: usize| item.get(i).and_then(Value::as_u64);
            let at = UnixMs::try_from(number(0)?).ok()?;
            Some(Sent { at, tokens: number(1)?, number: number(2)? })
        });
        let fresh = |sent: &Sent| sent.at.saturating_add(MINUTE_MS as UnixMs) > now;
        let mut sent: Vec<Sent> = all.filter(fresh).collect();
        sent.sort_by_key(|sent| sent.at);
        Minute { now, sent }
    }

    fn enter(mut self, allowed: Allowance, tokens: u64, number: u64) -> Result<Change> {
        let wait = self.wait(allowed, tokens);
        if wait > 0 {
            return Err(Error::new(Code::RateLimited, "the minute is full")
                .with(|f| f.retry_after_ms = Some(wait)));
        }
        self.sent.push(Sent { at: self.now, tokens, number });
        Ok(self.write())
    }

    /// Milliseconds until there is room for one more of so many tokens.
    fn wait(&self, allowed: Allowance, tokens: u64) -> u64 {
        let most = allowed.requests.unwrap_or(u64::MAX);
        let much = allowed.tokens.unwrap_or(u64::MAX);
        let mut left = self.sent.len() as u64;
        let mut sum: u64 = self.sent.iter().map(|sent| sent.tokens).sum();
        let mut until = self.now;
        for sent in &self.sent {
            if left < most && sum.saturating_add(tokens) <= much {
                break;
            }
            left -= 1;
            sum = sum.saturating_sub(sent.tokens);
            until = sent.at.saturating_add(MINUTE_MS as UnixMs);
        }
        u64::try_from(until.saturating_sub(self.now)).unwrap_or(0)
    }

    fn corrected(mut self, number: u64, tokens: u64) -> Change {
        for sent in self.sent.iter_mut().filter(|sent| sent.number == number) {
            sent.tokens = tokens;
        }
        self.write()
    }

    fn write(&self) -> Change {
        let list: Value =
            self.sent.iter().map(|sent| json!([sent.at, sent.tokens, sent.number])).collect();
        let expires_at = Some(self.now.saturating_add(MINUTE_MS as UnixMs));
        Change::Put { bytes: list.to_string().into_bytes(), expires_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Allowance = Allowance { requests: Some(2), tokens: None };

    fn record(change: Change) -> Record {
        let Change::Put { bytes, expires_at } = change else { panic!("no put") };
        Record { version: 1, expires_at, bytes }
    }

    fn enter(old: Option<&Record>, now: UnixMs, allowed: Allowance, tokens: u64) -> Result<Record> {
        Minute::read(old, now).enter(allowed, tokens, now as u64).map(record)
    }

    fn told(result: Result<Record>) -> u64 {
        result.unwrap_err().fields().retry_after_ms.unwrap()
    }

    #[test]
    fn so_many_requests_go_in_any_minute() {
        let one = enter(None, 1000, TWO, 0).unwrap();
        let two = enter(Some(&one), 5000, TWO, 0).unwrap();
        assert_eq!(told(enter(Some(&two), 7000, TWO, 0)), 54_000);
        let three = enter(Some(&two), 61_000, TWO, 0).unwrap();
        assert_eq!(told(enter(Some(&three), 61_001, TWO, 0)), 3_999);
    }

    #[test]
    fn tokens_count_as_they_turn_out() {
        let allowed = Allowance { requests: None, tokens: Some(100) };
        let one = enter(None, 1000, allowed, 90).unwrap();
        assert_eq!(told(enter(Some(&one), 2000, allowed, 20)), 59_000);
        let corrected = record(Minute::read(Some(&one), 2000).corrected(1000, 5));
        enter(Some(&corrected), 2000, allowed, 20).unwrap();
    }

    #[test]
    fn what_is_no_list_of_requests_is_none() {
        for bytes in [&b"x"[..], b"[[1]]", b"[[\"a\",1,2]]", b"{}"] {
            let old = Record { version: 1, expires_at: None, bytes: bytes.into() };
            assert!(enter(Some(&old), 1, TWO, 0).is_ok());
        }
    }
}
