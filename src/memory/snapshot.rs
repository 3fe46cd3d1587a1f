//! A snapshot file: all of memory as a JSON document that any engine and any machine reads.
//!
//! `{"format":"zigllms-memory","version":1,"saved_at":…,"entries":[…],"conversations":[…],
//! "checksum":"…"}`. The checksum, of all bytes before it, comes last; a document that has none was
//! written by somebody else, and is taken as it is.

use serde_json::json;
use xxhash_rust::xxh3::xxh3_64;

use super::{Address, Entry, Extra, Kind, Scope, Talk, Value, address, corrupt};
use crate::error::{Code, Error, Result};
use crate::store::UnixMs;
use crate::value::json as text;
use crate::value::{MAX_DEPTH, Ref, Tape, plain};

const FORMAT: &str = "zigllms-memory";
const VERSION: i64 = 1;

/// Levels of a document: those of a value, each of which may take three, and those around it.
const DEPTH: usize = 3 * MAX_DEPTH + 20;

/// Whole keys with their entries, and conversations.
#[derive(Debug, Default, PartialEq)]
pub struct Snapshot {
    pub entries: Vec<(Vec<u8>, Entry)>,
    pub talks: Vec<Talk>,
}

/// An item of the document on a tape, as a line of its own.
fn line(out: &mut Vec<u8>, first: bool, write: impl FnOnce(&mut Tape)) {
    let mut tape = Tape::default();
    write(&mut tape);
    out.extend_from_slice(if first { b"\n" } else { b",\n" });
    if let Some(item) = tape.root() {
        out.extend_from_slice(text::to_string(item).as_bytes());
    }
}

impl Snapshot {
    pub fn to_text(&self, saved_at: f64) -> Vec<u8> {
        let head = format!(
            "{{\"format\":\"{FORMAT}\",\"version\":{VERSION},\"saved_at\":{},\n\"entries\":[",
            json!(saved_at)
        );
        let mut out = head.into_bytes();
        for (i, (key, entry)) in self.entries.iter().enumerate() {
            line(&mut out, i == 0, |tape| put_entry(key, entry, tape));
        }
        out.extend_from_slice(b"],\n\"conversations\":[");
        for (i, talk) in self.talks.iter().enumerate() {
            line(&mut out, i == 0, |tape| put_talk(talk, tape));
        }
        out.extend_from_slice(b"],\n");
        out.extend_from_slice(checksum(&out).as_bytes());
        out
    }

    /// Without the entries that are over by `now`.
    pub fn from_text(bytes: &[u8], now: UnixMs) -> Result<Snapshot> {
        let mut tape = Tape::default();
        let at = text::parse_within(bytes, DEPTH, &mut tape)?;
        let whole = tape.at(at).ok_or_else(|| expected("a document"))?;
        check_head(whole)?;
        check_sum(whole, bytes)?;
        let items = |name: &str| match whole.get(name) {
            None => Ok(None),
            Some(list) if list.is_array() => Ok(Some(list)),
            Some(_) => Err(expected(&format!("an array `{name}`"))),
        };
        let mut snapshot = Snapshot::default();
        for (i, item) in items("entries")?.into_iter().flat_map(Ref::items).enumerate() {
            let place = || format!("entries[{}]", i + 1);
            let (key, entry) = entry(item).map_err(|what| unfit(&place(), what))?;
            if entry.is_live(now) {
                snapshot.entries.push((key, entry));
            }
        }
        for (i, item) in items("conversations")?.into_iter().flat_map(Ref::items).enumerate() {
            let place = || format!("conversations[{}]", i + 1);
            snapshot.talks.push(talk(item).map_err(|what| unfit(&place(), what))?);
        }
        Ok(snapshot)
    }
}

/// The end of a document that begins with these bytes.
fn checksum(before: &[u8]) -> String {
    format!("\"checksum\":\"{:016x}\"}}\n", xxh3_64(before))
}

fn expected(what: &str) -> Error {
    Error::new(
        Code::ParseFailed,
        format!(
            "no snapshot of memory: expected {what} in a document {{\"format\": \"{FORMAT}\", \"version\": {VERSION}, …}}"
        ),
    )
}

fn unfit(place: &str, what: &str) -> Error {
    let details = json!({ "path": place });
    Error::new(Code::ParseFailed, format!("no snapshot of memory: {place}: expected {what}"))
        .with(|f| f.details = Some(details))
}

fn check_head(whole: Ref<'_>) -> Result<()> {
    if whole.get("format").and_then(Ref::as_str) != Some(FORMAT) {
        return Err(expected(&format!("the format \"{FORMAT}\"")));
    }
    match whole.get("version").and_then(Ref::as_i64) {
        Some(VERSION) => {}
        Some(newer) if newer > VERSION => {
            return Err(Error::unsupported(format!(
                "the snapshot has version {newer}, this module reads version {VERSION}: a newer one wrote it"
            )));
        }
        _ => return Err(expected(&format!("the version {VERSION}"))),
    }
    const NAMES: &[&str] =
        &["format", "version", "saved_at", "entries", "conversations", "checksum"];
    let known = |name: Ref<'_>| name.as_str().is_some_and(|name| NAMES.contains(&name));
    match whole.members().find(|(name, _)| !known(*name)) {
        Some((name, _)) => Err(expected(&format!("no member {:?}", name.to_text()))),
        None => Ok(()),
    }
}

fn check_sum(whole: Ref<'_>, bytes: &[u8]) -> Result<()> {
    if whole.get("checksum").is_none() {
        return Ok(());
    }
    let length = checksum(b"").len();
    let (before, end) = bytes.split_at(bytes.len().saturating_sub(length));
    match end == checksum(before).as_bytes() {
        true => Ok(()),
        false => Err(corrupt(
            "the snapshot is damaged: it is not what its checksum says. Take the member `checksum` out if you changed it yourself",
        )),
    }
}

/// Writes members of an object one by one.
struct Members<'t>(&'t mut Tape, usize);

impl Members<'_> {
    fn put(&mut self, name: &str, value: impl FnOnce(&mut Tape)) {
        self.0.str(name.as_bytes());
        value(self.0);
        self.1 += 1;
    }
}

fn object(tape: &mut Tape, write: impl FnOnce(&mut Members<'_>)) {
    let mark = tape.open_object();
    let mut members = Members(tape, 0);
    write(&mut members);
    let count = members.1;
    tape.close(mark, count);
}

fn put_entry(key: &[u8], entry: &Entry, tape: &mut Tape) {
    let (address, key) = address::parse(key).unwrap_or((Address::default(), key));
    object(tape, |members| {
        members.put("scope", |tape| tape.str(address.scope.name().as_bytes()));
        if address.scope != Scope::Global {
            members.put("owner", |tape| tape.str(address.owner.as_bytes()));
        }
        members.put("key", |tape| plain::text(key, tape));
        members.put("type", |tape| tape.str(entry.kind.name().as_bytes()));
        members.put("value", |tape| put_value(&entry.value, tape));
        if let Some(at) = entry.expires_at {
            members.put("expires_at", |tape| tape.float(at as f64 / 1e3));
        }
        if let Some(extra) = &entry.extra {
            put_extra(extra, members);
        }
    });
}

fn put_extra(extra: &Extra, members: &mut Members<'_>) {
    if !extra.tags.is_empty() {
        members.put("tags", |tape| {
            let mark = tape.open_array();
            extra.tags.iter().for_each(|tag| tape.str(tag.as_bytes()));
            tape.close(mark, extra.tags.len());
        });
    }
    if let Some(metadata) = &extra.metadata {
        members.put("metadata", |tape| put_value(metadata, tape));
    }
    if let Some(numbers) = &extra.embedding {
        members.put("embedding", |tape| plain::put_floats(numbers, tape));
    }
}

fn put_value(value: &Value, out: &mut Tape) {
    let mut tape = Tape::default();
    value.put(&mut tape);
    if let Some(value) = tape.root() {
        plain::put(value, out);
    }
}

fn put_talk(talk: &Talk, tape: &mut Tape) {
    object(tape, |members| {
        members.put("agent", |tape| tape.str(talk.agent.as_bytes()));
        members.put("session", |tape| tape.str(talk.session.as_bytes()));
        members.put("messages", |tape| {
            text::put(&talk.messages, tape);
        });
        if !talk.paused.is_null() {
            members.put("paused", |tape| {
                text::put(&talk.paused, tape);
            });
        }
    });
}

/// What was expected there, if it is something else.
type Read<T> = std::result::Result<T, &'static str>;

fn member<'t, T>(
    item: Ref<'t>,
    name: &str,
    what: &'static str,
    read: impl FnOnce(Ref<'t>) -> Option<T>,
) -> Read<Option<T>> {
    match item.get(name).map(read) {
        None => Ok(None),
        Some(None) => Err(what),
        Some(value) => Ok(value),
    }
}

fn entry(item: Ref<'_>) -> Read<(Vec<u8>, Entry)> {
    let word = |value: Ref<'_>| value.as_str().map(str::to_owned);
    let scope = member(item, "scope", "a scope", |s| Scope::parse(s.as_str()?))?;
    let owner = member(item, "owner", "a name as `owner`", word)?;
    let address = match (scope.unwrap_or_default(), owner) {
        (Scope::Global, None) => Address::default(),
        (Scope::Global, Some(_)) => return Err("no `owner` in the scope \"global\""),
        (scope, Some(owner)) => Address::new(scope, owner),
        _ => return Err("an `owner`"),
    };
    let key = member(item, "key", "a string as `key`", plain::bytes)?.ok_or("a `key`")?;
    let kind = member(item, "type", "a type of entries", |kind| Kind::parse(kind.as_str()?))?;
    let value = member(item, "value", "a value that can be kept", value)?.ok_or("a `value`")?;
    let entry = Entry {
        expires_at: member(item, "expires_at", "a time as `expires_at`", unix_ms)?,
        extra: extra(item)?,
        ..Entry::new(value, kind.unwrap_or_default())
    };
    Ok((address.key(&key), entry))
}

fn value(value: Ref<'_>) -> Option<Value> {
    let mut tape = Tape::default();
    plain::read(value, &mut tape)?;
    tape.root().filter(|value| !value.is_null()).map(Value::of)
}

fn unix_ms(seconds: Ref<'_>) -> Option<UnixMs> {
    let ms = (seconds.as_f64()? * 1e3).round();
    (ms.abs() < 9e15).then_some(ms as UnixMs)
}

fn extra(item: Ref<'_>) -> Read<Option<Box<Extra>>> {
    let words = |list: Ref<'_>| {
        let words = list.items().map(|tag| Some(tag.as_str()?.to_owned())).collect();
        if list.is_array() { words } else { None }
    };
    let extra = Extra {
        tags: member(item, "tags", "an array of strings as `tags`", words)?.unwrap_or_default(),
        metadata: member(item, "metadata", "plain data as `metadata`", value)?,
        embedding: member(item, "embedding", "an array of numbers as `embedding`", plain::floats)?
            .map(Into::into),
    };
    Ok((extra != Extra::default()).then(|| Box::new(extra)))
}

fn talk(item: Ref<'_>) -> Read<Talk> {
    let word = |value: Ref<'_>| value.as_str().map(str::to_owned);
    let list = |value: Ref<'_>| value.is_array().then(|| value.to_json());
    let table = |value: Ref<'_>| value.is_object().then(|| value.to_json());
    Ok(Talk {
        agent: member(item, "agent", "a name as `agent`", word)?.ok_or("an `agent`")?,
        session: member(item, "session", "a name as `session`", word)?.unwrap_or_default(),
        messages: member(item, "messages", "an array of `messages`", list)?.ok_or("`messages`")?,
        paused: member(item, "paused", "a table as `paused`", table)?.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Snapshot {
        let mut table = Tape::default();
        let object = table.open_object();
        table.str(b"\xff");
        table.empty();
        table.close(object, 1);
        let extra = Extra {
            tags: vec!["ä".into()],
            metadata: Some(Value::Int(1)),
            embedding: Some([0.1, -3.5e-20].into()),
        };
        let value = Value::of(table.root().unwrap());
        let entry = Entry {
            expires_at: Some(1_790_000_000_123),
            extra: Some(Box::new(extra)),
            ..Entry::new(value, Kind::Long)
        };
        let short = Entry::new(Value::Float(1.0), Kind::Short);
        let messages = json!([{"role": "user", "content": "hi"}]);
        let (agent, session) = ("ada".into(), "s".into());
        Snapshot {
            entries: vec![
                (Address::new(Scope::Agent, "ada").key(b"\xff\0"), entry),
                (Address::default().key(b"k"), short),
            ],
            talks: vec![Talk { agent, session, messages, paused: json!({"iteration": 1}) }],
        }
    }

    fn read(text: &[u8]) -> Result<Snapshot> {
        Snapshot::from_text(text, 0)
    }

    #[test]
    fn all_of_it_comes_back() {
        let text = full().to_text(1.5);
        assert_eq!(read(&text).unwrap(), full());
        assert_eq!(read(&Snapshot::default().to_text(0.0)).unwrap(), Snapshot::default());
        let late = Snapshot::from_text(&text, 1_790_000_000_123).unwrap();
        assert_eq!(late.entries.len(), 1, "what is over is not loaded");
    }

    #[test]
    fn no_damage_goes_unnoticed() {
        let text = full().to_text(1.5);
        for cut in 0..text.len() {
            assert!(read(&text[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut damaged = text.clone();
                damaged[at] ^= 1 << bit;
                assert!(read(&damaged).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn what_is_no_snapshot_says_what_it_should_be() {
        let code = |text: &str| read(text.as_bytes()).unwrap_err().code();
        assert_eq!(code("{"), Code::ParseFailed);
        assert_eq!(code("{\"a\":1}"), Code::ParseFailed);
        assert_eq!(code(r#"{"format":"zigllms-memory","version":2}"#), Code::Unsupported);
        assert_eq!(code(r#"{"format":"zigllms-memory","version":0}"#), Code::ParseFailed);
        let entry = r#"{"format":"zigllms-memory","version":1,"entries":[{"key":1,"value":2}]}"#;
        let error = read(entry.as_bytes()).unwrap_err();
        assert!(error.message().contains("entries[1]: expected a string as `key`"), "{error}");
        let own = r#"{"format":"zigllms-memory","version":1,"entries":[{"key":"a","value":2}]}"#;
        assert_eq!(read(own.as_bytes()).unwrap().entries.len(), 1, "nobody has to sum it up");
    }
}
