//! What is asked of the server about one stream.

use std::time::Duration;

use ::redis::{Cmd, Connection, Pipeline, Value, cmd};

use super::super::Address;
use super::super::failure::Failure;
use super::super::link;
use super::super::record::Names;

pub type Answer<T> = Result<T, Failure>;

/// A server answers within this time, also when it waits for entries meanwhile.
const ANSWER: Duration = Duration::from_secs(10);

/// An entry of the stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub position: String,
    pub origin: Vec<u8>,
    pub bytes: Vec<u8>,
}

/// A connection that knows the stream.
pub struct Wire {
    connection: Connection,
    key: String,
}

impl Wire {
    pub fn connect(address: &Address, stream: &str) -> Answer<Wire> {
        let connection = link::dial(address).map_err(Failure::connecting)?;
        connection.set_read_timeout(Some(ANSWER)).map_err(Failure::connecting)?;
        connection.set_write_timeout(Some(ANSWER)).map_err(Failure::connecting)?;
        Ok(Wire { connection, key: Names::new(address.prefix()).stream(stream) })
    }

    fn ask(&mut self, question: &Cmd) -> Answer<Value> {
        question.query(&mut self.connection).map_err(Failure::asking)
    }

    /// All of them or none, in order.
    pub fn add<'b>(
        &mut self,
        origin: &str,
        max_len: u64,
        messages: impl Iterator<Item = &'b [u8]>,
    ) -> Answer<()> {
        let mut all = Pipeline::new();
        all.atomic();
        for bytes in messages {
            let add = all.cmd("XADD").arg(&self.key);
            if max_len > 0 {
                add.arg("MAXLEN").arg("~").arg(max_len);
            }
            add.arg("*").arg("o").arg(origin).arg("e").arg(bytes).ignore();
        }
        all.exec(&mut self.connection).map_err(Failure::asking)
    }

    /// The position of the last entry there ever was.
    pub fn last(&mut self) -> Answer<String> {
        match self.ask(cmd("XINFO").arg("STREAM").arg(&self.key)) {
            Ok(Value::Array(fields)) => Ok(field(fields, "last-generated-id")),
            Err(failure) if said(&failure, "no such key") => Ok("0-0".to_owned()),
            answer => answer.map(|_| "0-0".to_owned()),
        }
    }

    /// What comes after a position; waits for it at most so long.
    pub fn read(&mut self, after: &str, most: usize, wait_ms: u64) -> Answer<Vec<Entry>> {
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(most).arg("BLOCK").arg(wait_ms);
        self.ask(read.arg("STREAMS").arg(&self.key).arg(after)).map(of_streams)
    }

    /// Makes the group if there is none.
    pub fn join(&mut self, group: &str, after: &str) -> Answer<()> {
        let mut create = cmd("XGROUP");
        create.arg("CREATE").arg(&self.key).arg(group).arg(after).arg("MKSTREAM");
        match self.ask(&create) {
            Err(failure) if failure.cause.code() == Some("BUSYGROUP") => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Entries that no member of the group has had (`after` is `>`), or pending ones of `me` after
    /// a position.
    pub fn take(
        &mut self,
        (group, me): (&str, &str),
        after: &str,
        most: usize,
        wait_ms: u64,
    ) -> Answer<Vec<Entry>> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(group).arg(me).arg("COUNT").arg(most).arg("BLOCK").arg(wait_ms);
        self.ask(read.arg("STREAMS").arg(&self.key).arg(after)).map(of_streams)
    }

    /// Takes over what others have not spoken for in so long. Answers where to go on looking, `0-0`
    /// after the last.
    pub fn claim(
        &mut self,
        (group, me): (&str, &str),
        idle_ms: u64,
        from: &str,
        most: usize,
    ) -> Answer<(String, Vec<Entry>)> {
        let mut claim = cmd("XAUTOCLAIM");
        claim.arg(&self.key).arg(group).arg(me).arg(idle_ms).arg(from).arg("COUNT").arg(most);
        let Value::Array(answer) = self.ask(&claim)? else { return Ok(Default::default()) };
        let mut answer = answer.into_iter();
        let next = answer.next().map_or_else(String::new, text);
        Ok((next, answer.next().map_or_else(Vec::new, entries)))
    }

    /// Makes pending entries those of `to`, as if untouched for `idle_ms`.
    pub fn hand(
        &mut self,
        group: &str,
        to: &str,
        idle_ms: u64,
        positions: &[String],
    ) -> Answer<()> {
        if positions.is_empty() {
            return Ok(());
        }
        let mut claim = cmd("XCLAIM");
        claim.arg(&self.key).arg(group).arg(to).arg(0).arg(positions);
        self.ask(claim.arg("IDLE").arg(idle_ms).arg("JUSTID")).map(drop)
    }

    pub fn acknowledge(&mut self, group: &str, positions: &[String]) -> Answer<()> {
        if positions.is_empty() {
            return Ok(());
        }
        self.ask(cmd("XACK").arg(&self.key).arg(group).arg(positions)).map(drop)
    }

    /// Takes a member that holds nothing out of the group. One that holds something stays, as its
    /// pending entries would go with it.
    pub fn leave(&mut self, group: &str, me: &str) -> Answer<()> {
        let mut pending = cmd("XPENDING");
        pending.arg(&self.key).arg(group).arg("-").arg("+").arg(1).arg(me);
        match self.ask(&pending)? {
            Value::Array(held) if !held.is_empty() => Ok(()),
            _ => {
                let mut delete = cmd("XGROUP");
                self.ask(delete.arg("DELCONSUMER").arg(&self.key).arg(group).arg(me)).map(drop)
            }
        }
    }
}

fn said(failure: &Failure, what: &str) -> bool {
    failure.cause.to_string().contains(what)
}

fn text(value: Value) -> String {
    String::from_utf8(bytes(value)).unwrap_or_default()
}

fn bytes(value: Value) -> Vec<u8> {
    match value {
        Value::BulkString(bytes) => bytes,
        Value::SimpleString(text) => text.into_bytes(),
        _ => Vec::new(),
    }
}

/// A member of names and values in turn.
fn field(fields: Vec<Value>, name: &str) -> String {
    let mut fields = fields.into_iter();
    while let (Some(key), Some(value)) = (fields.next(), fields.next()) {
        if text(key) == name {
            return text(value);
        }
    }
    "0-0".to_owned()
}

/// `[[key, entries]]`, or nothing.
fn of_streams(answer: Value) -> Vec<Entry> {
    let Value::Array(streams) = answer else { return Vec::new() };
    let Some(Value::Array(stream)) = streams.into_iter().next() else { return Vec::new() };
    stream.into_iter().nth(1).map_or_else(Vec::new, entries)
}

/// `[[position, [name, value, …]], …]`. Of an entry that was trimmed away there is no more than a
/// nil, or a position with one.
fn entries(list: Value) -> Vec<Entry> {
    let Value::Array(list) = list else { return Vec::new() };
    list.into_iter().filter_map(entry).collect()
}

fn entry(item: Value) -> Option<Entry> {
    let Value::Array(item) = item else { return None };
    let mut item = item.into_iter();
    let mut entry = Entry { position: text(item.next()?), ..Entry::default() };
    let Some(Value::Array(fields)) = item.next() else { return Some(entry) };
    let mut fields = fields.into_iter();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        match bytes(name).as_slice() {
            b"o" => entry.origin = bytes(value),
            b"e" => entry.bytes = bytes(value),
            _ => {}
        }
    }
    Some(entry)
}
