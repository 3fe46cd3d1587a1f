//! A Redis server as the store, shared by many machines.
//!
//! A record is a string, `<prefix>:r:<space>:<key>`, which begins with its version and expiry
//! (`record.rs`). Each space has an index, a sorted set of its keys, because Redis itself knows no
//! order. What reads more than one key, or writes, is a script: the server runs it alone, so others
//! see all of a commit or nothing. A deletion of very many keys therefore makes others wait.
//!
//! **Versions** are of the server's clock (microseconds, in 2^20 units a second) or one more than
//! the last, whichever is later. A server that lost its last writes, or all, thus uses none again.
//!
//! **Expiry** goes by the `now` of who asks. The server is told as well, with a margin, so that
//! memory comes back; commits on their way take keys of such records out of the index.
//!
//! **Lost answers.** Each commit carries the random name of its client and a number. The server
//! keeps the answer to a client's last commit for ten minutes, so one that is sent again after a
//! broken connection is answered and not made twice; and one that arrives behind a later one is
//! refused. Where the second attempt fails too, nobody knows: the error has `details.unknown`, and
//! the same commit made again is recognised.
//!
//! **Durability** is the server's: with `appendfsync always` nothing acknowledged is lost, with
//! `everysec` up to a second before a crash, with snapshots only all since the last one.

mod address;
mod failure;
mod link;
mod record;
mod stream;
#[cfg(test)]
pub(crate) mod tests;

use std::hash::{BuildHasher, RandomState};

use ::redis::{Cmd, Value};

use super::{Change, Committed, Durability, Effect, Range, Record, Space, Store, UnixMs, Write};
use crate::error::{Error, Result};
pub use address::Address;
use failure::Failure;
use link::{Link, Script};
pub use stream::{Channel, finish};

/// Records looked at by one run of `scan.lua`, and bytes after which it stops: a server does
/// nothing else meanwhile.
const PORTION: usize = 500;
const ENOUGH: usize = 1 << 20;

/// To be dropped, and never used, in the process that opened it.
pub struct Redis {
    link: Link,
    /// Who commits, as the server knows it.
    client: String,
    number: u64,
    /// A commit of which nobody knows whether it was made.
    unknown: Option<Vec<Write>>,
}

impl Redis {
    pub fn open(url: &str) -> Result<Redis> {
        Redis::connect(Address::parse(url)?)
    }

    pub fn connect(address: Address) -> Result<Redis> {
        let link = Link::connect(address)?;
        Ok(Redis { link, client: random_name(), number: 0, unknown: None })
    }

    fn page(&mut self, range: &Range, from: &[u8], most: usize) -> Result<Page> {
        let answer = self.link.ask(|link| {
            let mut script = link.script(Script::Scan, &link.names().index(range.space));
            script.arg(link.names().record(range.space, b"")).arg(from);
            script.arg(record::end_of(&range.prefix)).arg(most).arg(ENOUGH);
            script
        });
        Page::read(answer.map_err(|failure| self.link.error(&failure))?)
            .ok_or_else(|| self.link.foreign("an answer that is none of its script"))
    }

    fn record(&self, key: &[u8], bytes: Vec<u8>) -> Result<Record> {
        record::decode(bytes).ok_or_else(|| self.link.corrupt(key))
    }

    /// Under a number of their own, or that of before if nobody knows what became of them.
    fn send(&mut self, writes: &[Write], now: UnixMs) -> std::result::Result<Value, Failure> {
        let again = self.unknown.take().is_some_and(|sent| sent == writes);
        self.number += u64::from(!again);
        let (client, number) = (&self.client, self.number);
        let answer = self.link.ask(|link| commit(link, client, number, now, writes));
        answer.map_err(|failure| {
            let heard = failure.heard || (again && !failure.is_answer());
            self.unknown = heard.then(|| writes.to_vec());
            Failure { heard, ..failure }
        })
    }
}

impl Store for Redis {
    fn get(&mut self, space: Space, key: &[u8], now: UnixMs) -> Result<Option<Record>> {
        let answer = self.link.ask(|link| {
            let mut get = ::redis::cmd("GET");
            get.arg(link.names().record(space, key));
            get
        });
        match answer.map_err(|failure| self.link.error(&failure))? {
            Value::BulkString(bytes) => {
                let record = self.record(key, bytes)?;
                Ok(Some(record).filter(|record| !record.expired(now)))
            }
            _ => Ok(None),
        }
    }

    fn scan(&mut self, range: &Range, now: UnixMs) -> Result<Vec<(Vec<u8>, Record)>> {
        let mut found = Vec::new();
        let mut from = record::start_of(&range.prefix, range.after.as_deref());
        while found.len() < range.limit {
            let page = self.page(range, &from, (range.limit - found.len()).min(PORTION))?;
            let Some((last, _)) = page.entries.last() else { break };
            from = record::after(last);
            for (key, bytes) in page.entries {
                // An empty one is a key whose record expired.
                if bytes.is_empty() {
                    continue;
                }
                let record = self.record(&key, bytes)?;
                if !record.expired(now) {
                    found.push((key, record));
                }
            }
            if page.last {
                break;
            }
        }
        Ok(found)
    }

    fn commit(&mut self, writes: &[Write], _: Durability, now: UnixMs) -> Result<Committed> {
        if writes.is_empty() {
            return Ok(Committed::Done(Vec::new()));
        }
        let answer = self.send(writes, now);
        let answer = answer.map_err(|failure| failure.error_of_commit(self.link.shown()))?;
        outcome(&answer, writes)
            .ok_or_else(|| self.link.foreign("an answer that is none of its script"))
    }

    /// The server decides; what it has acknowledged, it has.
    fn sync(&mut self) -> Result<()> {
        Ok(())
    }
}

fn commit(link: &Link, client: &str, number: u64, now: UnixMs, writes: &[Write]) -> Cmd {
    let mut script = link.script(Script::Commit, &link.names().store());
    script.arg(link.names().start()).arg(client).arg(number).arg(now);
    for write in writes {
        record::write(&mut script, write, now);
    }
    script
}

/// `conflict 3`, or the version before the first that was given, then how many records each write
/// found.
fn outcome(answer: &Value, writes: &[Write]) -> Option<Committed> {
    let Value::BulkString(bytes) = answer else { return None };
    let text = std::str::from_utf8(bytes).ok()?;
    if let Some(index) = text.strip_prefix("conflict ") {
        return index.parse().ok().map(Committed::Conflict);
    }
    let mut numbers = text.split(' ').map(str::parse::<u64>);
    let mut last = numbers.next()?.ok()?;
    let mut effects = Vec::with_capacity(writes.len());
    for write in writes {
        let before = numbers.next()?.ok()?;
        let put = matches!(write.change, Change::Put { .. });
        last += u64::from(put);
        effects.push(Effect { before, version: if put { last } else { 0 } });
    }
    Some(Committed::Done(effects))
}

/// What one run of `scan.lua` found.
struct Page {
    last: bool,
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Page {
    fn read(answer: Value) -> Option<Page> {
        let Value::Array(items) = answer else { return None };
        let mut items = items.into_iter();
        let Value::Int(last) = items.next()? else { return None };
        let mut entries = Vec::with_capacity(items.len() / 2);
        while let Some(key) = items.next() {
            let (Value::BulkString(key), Value::BulkString(bytes)) = (key, items.next()?) else {
                return None;
            };
            entries.push((key, bytes));
        }
        Some(Page { last: last == 1, entries })
    }
}

/// No other client of the server has it, not even a process forked from this one.
fn random_name() -> String {
    let random = |salt: u64| RandomState::new().hash_one((salt, std::process::id()));
    format!("{:016x}{:016x}", random(1), random(2))
}

impl Link {
    fn error(&self, failure: &Failure) -> Error {
        failure.error(self.shown())
    }

    fn foreign(&self, what: &str) -> Error {
        failure::io(self.shown(), "foreign", &format!("it gives {what}"))
    }

    fn corrupt(&self, key: &[u8]) -> Error {
        let what = format!(
            "what lies under the key {} is not a record of zigllms",
            crate::error::quoted(&String::from_utf8_lossy(key))
        );
        failure::io(self.shown(), "corrupt", &what)
    }
}
