//! Every word of SQL, and the rows that go through it.

use rusqlite::types::{FromSql, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::fault::{Checked, Fault};
use super::sum::{self, Stored, Total};
use crate::store::{Durability, Range, Record, Space, UnixMs};

/// "zlms": tells our stores from other files of SQLite.
pub const APPLICATION: i32 = 0x7a6c_6d73;

/// Grows when older versions of the module could no longer read what a newer one writes.
pub const FORMAT: i32 = 1;

/// As SQLite keeps them, word for word: a store is checked against it.
const SCHEMA: [&str; 3] = [
    "CREATE TABLE records (space INTEGER NOT NULL, key BLOB NOT NULL, version INTEGER NOT NULL, \
     expires_at INTEGER, sum INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (space, key)) \
     WITHOUT ROWID",
    "CREATE INDEX mortals ON records (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE TABLE state (id INTEGER PRIMARY KEY, versions INTEGER NOT NULL, \
     records INTEGER NOT NULL, sum INTEGER NOT NULL, syncs INTEGER NOT NULL, \
     own_sum INTEGER NOT NULL)",
];

/// The journal is cut back after a large commit, or it would keep the size of the largest one.
/// Damage that SQLite can see is reported, and no temporary files are made.
const EACH_CONNECTION: &str = "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY; \
     PRAGMA journal_size_limit = 16777216; PRAGMA synchronous = NORMAL";

pub fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "application_id", APPLICATION)?;
    connection.pragma_update(None, "user_version", FORMAT)?;
    for table in SCHEMA {
        connection.execute_batch(table)?;
    }
    connection.execute_batch("INSERT INTO state VALUES (0, 0, 0, 0, 0, 0)")?;
    State::default().write(connection)
}

pub fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(EACH_CONNECTION)
}

/// Outside of transactions only.
pub fn set_durability(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.execute_batch(match durability {
        Durability::Batched => "PRAGMA synchronous = NORMAL",
        Durability::Sync => "PRAGMA synchronous = FULL",
    })
}

/// What SQLite says about the file: `application_id`.
pub fn pragma<T: FromSql>(connection: &Connection, name: &str) -> rusqlite::Result<T> {
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}

pub fn has_our_schema(connection: &Connection) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare("SELECT sql FROM sqlite_schema ORDER BY rowid")?;
    let found: Vec<String> =
        statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(found == SCHEMA)
}

/// What the store knows about itself, in one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The last version given away.
    pub versions: u64,
    pub total: Total,
    /// Counts up, so that a commit of nothing else has something to write.
    pub syncs: u64,
}

impl State {
    pub fn read(connection: &Connection) -> Checked<State> {
        let mut statement = connection.prepare_cached(
            "SELECT versions, records, sum, syncs, own_sum FROM state WHERE id = 0",
        )?;
        let row = statement.query_row([], |row| {
            let total = Total { records: number(row, 1)?, sum: number(row, 2)? };
            let state = State { versions: number(row, 0)?, total, syncs: number(row, 3)? };
            Ok((state, number(row, 4)?))
        });
        match row.optional()? {
            Some((state, own_sum)) if state.own_sum() == own_sum => Ok(state),
            _ => Err(Fault::damaged("what it knows about itself is not as it was written")),
        }
    }

    pub fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(
            "UPDATE state SET versions = ?1, records = ?2, sum = ?3, syncs = ?4, own_sum = ?5 \
             WHERE id = 0",
        )?;
        let [versions, records, sum, syncs] = self.numbers().map(|n| n as i64);
        statement.execute([versions, records, sum, syncs, self.own_sum() as i64]).map(drop)
    }

    fn numbers(&self) -> [u64; 4] {
        [self.versions, self.total.records, self.total.sum, self.syncs]
    }

    fn own_sum(&self) -> u64 {
        sum::words(&self.numbers())
    }
}

fn number(row: &Row, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|n| n as u64)
}

/// What is known of a record that is not read: enough to replace it.
pub struct Outline {
    pub version: u64,
    pub expires_at: Option<UnixMs>,
    pub sum: u64,
}

impl Outline {
    fn of(row: &Row) -> rusqlite::Result<Outline> {
        Ok(Outline { version: number(row, 0)?, expires_at: row.get(1)?, sum: number(row, 2)? })
    }

    pub fn expired(&self, now: UnixMs) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

pub fn outline(
    connection: &Connection,
    space: Space,
    key: &[u8],
) -> rusqlite::Result<Option<Outline>> {
    let mut statement = connection.prepare_cached(
        "SELECT version, expires_at, sum FROM records WHERE space = ?1 AND key = ?2",
    )?;
    statement.query_row(params![space.number(), key], Outline::of).optional()
}

pub fn put(connection: &Connection, one: &Stored, sum: u64) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("REPLACE INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let (version, sum) = (one.version as i64, sum as i64);
    statement
        .execute(params![one.space.number(), one.key, version, one.expires_at, sum, one.bytes])
        .map(drop)
}

pub fn delete(connection: &Connection, space: Space, key: &[u8]) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("DELETE FROM records WHERE space = ?1 AND key = ?2")?;
    statement.execute(params![space.number(), key]).map(drop)
}

/// Hands over each record that it deletes.
pub fn delete_all(
    connection: &Connection,
    space: Space,
    prefix: &[u8],
    mut each: impl FnMut(Outline),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(match after_all(prefix) {
        Some(_) => {
            "DELETE FROM records WHERE space = ?1 AND key >= ?2 AND key < ?3 \
             RETURNING version, expires_at, sum"
        }
        None => {
            "DELETE FROM records WHERE space = ?1 AND key >= ?2 AND ?3 IS NULL \
             RETURNING version, expires_at, sum"
        }
    })?;
    let range = params![space.number(), prefix, after_all(prefix)];
    for gone in statement.query_map(range, Outline::of)? {
        each(gone?);
    }
    Ok(())
}

/// The first key after all that begin with `prefix`; none if there is no such key.
fn after_all(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut next = prefix.get(..=last)?.to_vec();
    *next.last_mut()? += 1;
    Some(next)
}

/// Where records have expired, those first that did so first.
pub fn mortals(
    connection: &Connection,
    now: UnixMs,
    most: usize,
) -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
    let mut statement = connection.prepare_cached(
        "SELECT space, key FROM records WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2",
    )?;
    statement.query_map(params![now, most as i64], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Copies the log into the file, and both to the disk; false if somebody is reading in it.
pub fn empty_log(connection: &Connection) -> rusqlite::Result<bool> {
    let query = "PRAGMA wal_checkpoint(TRUNCATE)";
    connection.query_row(query, [], |row| row.get::<_, i64>(0)).map(|busy| busy == 0)
}

pub fn get(connection: &Connection, space: Space, key: &[u8]) -> Checked<Option<Record>> {
    let mut statement = connection.prepare_cached(
        "SELECT version, expires_at, sum, bytes FROM records WHERE space = ?1 AND key = ?2",
    )?;
    let mut rows = statement.query(params![space.number(), key])?;
    rows.next()?.map(|row| record(row, space, key)).transpose()
}

/// Records from the beginning of a range on, expired ones too, until `each` has had enough.
pub fn scan(
    connection: &Connection,
    range: &Range,
    mut each: impl FnMut(Vec<u8>, Record) -> bool,
) -> Checked<()> {
    let mut statement = connection.prepare_cached(
        "SELECT version, expires_at, sum, bytes, key FROM records \
         WHERE space = ?1 AND key >= ?2 ORDER BY key",
    )?;
    let mut rows = statement.query(params![range.space.number(), first(range)])?;
    while let Some(row) = rows.next()? {
        let key: Vec<u8> = row.get(4)?;
        if !key.starts_with(&range.prefix) {
            break;
        }
        let record = record(row, range.space, &key)?;
        if !each(key, record) {
            break;
        }
    }
    Ok(())
}

fn first(range: &Range) -> Vec<u8> {
    match &range.after {
        Some(after) if *after >= range.prefix => [after.as_slice(), &[0]].concat(),
        _ => range.prefix.clone(),
    }
}

/// Every record there is, in order, with the sum that was written with it.
pub fn all(
    connection: &Connection,
    mut each: impl FnMut(i64, &[u8], u64) -> Checked<()>,
) -> Checked<()> {
    let mut statement = connection.prepare(
        "SELECT version, expires_at, sum, bytes, key, space FROM records ORDER BY space, key",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(5)?;
        let space = Space::of(number).ok_or_else(|| Fault::damaged("a space that there is not"))?;
        let ValueRef::Blob(key) = row.get_ref(4)? else {
            return Err(Fault::damaged("a key that is none"));
        };
        record(row, space, key)?;
        each(number, key, self::number(row, 2)?)?;
    }
    Ok(())
}

/// The record in a row, if it is what was written.
fn record(row: &Row, space: Space, key: &[u8]) -> Checked<Record> {
    let Outline { version, expires_at, sum } = Outline::of(row)?;
    let bytes: Vec<u8> = row.get(3)?;
    if (Stored { space, key, version, expires_at, bytes: &bytes }).sum() != sum {
        return Err(Fault::damaged("a record is not what was written"));
    }
    Ok(Record { version, expires_at, bytes })
}

#[cfg(test)]
mod tests {
    use super::after_all;

    #[test]
    fn a_prefix_ends_before_the_next_key_that_does_not_begin_with_it() {
        for (prefix, next) in [
            (&b"a"[..], Some(&b"b"[..])),
            (b"a\xff", Some(b"b")),
            (b"\0", Some(b"\x01")),
            (b"\xfe\xff\xff", Some(b"\xff")),
            (b"", None),
            (b"\xff", None),
            (b"\xff\xff", None),
        ] {
            assert_eq!(after_all(prefix).as_deref(), next, "{prefix:?}");
        }
    }
}
