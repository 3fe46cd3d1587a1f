//! What every engine does: one suite, a test for each rule of [`Store`].
//!
//! ```ignore
//! // A new, empty place each time; `None` after saying why its tests are skipped.
//! fn fresh() -> Option<conformance::Place> {
//!     let memory = Memory::default();
//!     Some(Box::new(move || Box::new(memory.clone())))
//! }
//! conformance::suite!(fresh);
//! ```

use std::collections::{BTreeMap, HashSet};

use super::{
    Change, Committed, Durability, Effect, Expected, Range, Record, Space, Store, UnixMs, Write,
};

/// Opens the store of one place: each call gives another handle on the same data.
pub type Place = Box<dyn Fn() -> Box<dyn Store>>;

macro_rules! suite {
    ($fresh:path) => {
        $crate::store::conformance::suite!($fresh:
            spaces_are_apart
            keys_and_values_are_any_bytes
            a_scan_is_in_order_of_bytes
            a_scan_takes_what_begins_with_its_prefix
            a_scan_goes_on_after_a_key
            paging_meets_every_key_once_while_others_write
            versions_are_never_used_again
            what_a_write_did_is_told
            a_commit_that_meets_another_state_does_nothing
            absent_is_what_was_never_put_or_has_gone
            a_version_holds_until_the_next_write
            a_commit_may_depend_on_what_it_leaves_alone
            writes_of_one_commit_see_those_before_them
            an_empty_commit_is_one
            delete_all_takes_a_prefix_in_one_space
            a_record_ends_at_its_time
            an_expired_record_is_none_for_any_write
            times_come_back_as_they_were
            big_values_come_back
            many_writes_are_one_commit
            two_handles_see_each_other
            every_durability_keeps_the_same
            random_commits_do_what_a_map_does
        );
    };
    ($fresh:path: $($rule:ident)*) => {
        $(#[test]
        fn $rule() {
            if let Some(place) = $fresh() {
                $crate::store::conformance::$rule(&place);
            }
        })*
    };
}
pub(crate) use suite;

pub(super) const NOW: UnixMs = 1_700_000_000_000;

pub(super) fn put(key: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>) -> Write {
    change(key, Change::Put { bytes: bytes.as_ref().to_vec(), expires_at: None })
}

pub(super) fn put_until(key: impl AsRef<[u8]>, expires_at: UnixMs) -> Write {
    change(key, Change::Put { bytes: b"mortal".to_vec(), expires_at: Some(expires_at) })
}

pub(super) fn delete(key: impl AsRef<[u8]>) -> Write {
    change(key, Change::Delete)
}

pub(super) fn delete_all(prefix: impl AsRef<[u8]>) -> Write {
    change(prefix, Change::DeleteAll)
}

fn change(key: impl AsRef<[u8]>, change: Change) -> Write {
    Write { space: Space::Memory, key: key.as_ref().to_vec(), change, only_if: None }
}

fn only_if(write: Write, expected: Expected) -> Write {
    Write { only_if: Some(expected), ..write }
}

pub(super) fn done(store: &mut dyn Store, writes: &[Write]) -> Vec<Effect> {
    done_at(store, writes, NOW)
}

fn done_at(store: &mut dyn Store, writes: &[Write], now: UnixMs) -> Vec<Effect> {
    match store.commit(writes, Durability::Batched, now).expect("a commit") {
        Committed::Done(effects) => effects,
        Committed::Conflict(n) => panic!("write {n} met another state: {writes:?}"),
    }
}

fn conflict(store: &mut dyn Store, writes: &[Write]) -> usize {
    match store.commit(writes, Durability::Batched, NOW).expect("a commit") {
        Committed::Conflict(n) => n,
        Committed::Done(effects) => panic!("no conflict: {effects:?} of {writes:?}"),
    }
}

fn get(store: &mut dyn Store, key: impl AsRef<[u8]>) -> Option<Record> {
    store.get(Space::Memory, key.as_ref(), NOW).expect("a record or none")
}

pub(super) fn bytes(store: &mut dyn Store, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    get(store, key).map(|record| record.bytes)
}

fn version(store: &mut dyn Store, key: impl AsRef<[u8]>) -> u64 {
    get(store, key).expect("a record").version
}

fn range(prefix: impl AsRef<[u8]>, limit: usize) -> Range {
    Range { space: Space::Memory, prefix: prefix.as_ref().to_vec(), after: None, limit }
}

pub(super) fn keys(store: &mut dyn Store, range: &Range) -> Vec<Vec<u8>> {
    let page = store.scan(range, NOW).expect("a page");
    page.into_iter().map(|(key, _)| key).collect()
}

pub fn spaces_are_apart(place: &Place) {
    let store = &mut *place();
    for space in Space::ALL {
        done(store, &[Write { space, ..put("key", space.name()) }]);
    }
    done(store, &[Write { space: Space::Cache, ..delete_all("") }]);
    for space in Space::ALL {
        let found = store.get(space, b"key", NOW).unwrap().map(|record| record.bytes);
        let kept = (space != Space::Cache).then(|| space.name().as_bytes().to_vec());
        assert_eq!(found, kept, "{space:?}");
        let page = store.scan(&Range { space, ..range("", 9) }, NOW).unwrap();
        assert_eq!(page.len(), usize::from(space != Space::Cache), "{space:?}");
    }
}

/// In order of their bytes; no two are the same as text of any kind.
const KEYS: [&[u8]; 13] = [
    b"",
    b"\0",
    b"\0\0",
    b"\0\xff",
    b"\x01",
    b"A",
    b"a",
    b"a\0",
    b"a\0b",
    b"a'b\"c%_*?[",
    b"\x80",
    b"\xff",
    b"\xff\xff",
];

fn put_keys(store: &mut dyn Store) {
    let backwards: Vec<Write> = KEYS.iter().rev().map(|key| put(key, key)).collect();
    done(store, &backwards);
}

pub fn keys_and_values_are_any_bytes(place: &Place) {
    let store = &mut *place();
    put_keys(store);
    let all: Vec<u8> = (0..=255).collect();
    done(store, &[put(&all, &all), put("empty", "")]);
    for key in KEYS {
        assert_eq!(bytes(store, key).as_deref(), Some(key), "{key:?}");
    }
    assert_eq!(bytes(store, &all), Some(all));
    assert_eq!(bytes(store, "empty"), Some(Vec::new()));
    assert_eq!(bytes(store, "nothing"), None);
    let long = vec![0xAB; 20_000];
    done(store, &[put(&long, "a long key")]);
    assert_eq!(bytes(store, &long), Some(b"a long key".to_vec()));
    assert_eq!(bytes(store, &long[1..]), None);
}

pub fn a_scan_is_in_order_of_bytes(place: &Place) {
    let store = &mut *place();
    put_keys(store);
    assert_eq!(keys(store, &range("", 100)), KEYS);
    for (key, record) in store.scan(&range("", 100), NOW).unwrap() {
        assert_eq!(Some(&record), get(store, &key).as_ref());
        assert_eq!(record.bytes, key);
    }
}

pub fn a_scan_takes_what_begins_with_its_prefix(place: &Place) {
    let store = &mut *place();
    put_keys(store);
    for prefix in KEYS.iter().copied().chain([&b"b"[..], b"\xff\xff\xff", b"\xfe"]) {
        let those: Vec<_> = KEYS.iter().filter(|key| key.starts_with(prefix)).collect();
        let found = keys(store, &range(prefix, 100));
        assert_eq!(found.iter().map(Vec::as_slice).collect::<Vec<_>>(), *those_of(&those));
    }
}

fn those_of<'a>(keys: &[&&'a [u8]]) -> Box<[&'a [u8]]> {
    keys.iter().map(|key| **key).collect()
}

pub fn a_scan_goes_on_after_a_key(place: &Place) {
    let store = &mut *place();
    put_keys(store);
    for limit in 1..=KEYS.len() + 1 {
        assert_eq!(paged(store, b"", limit), KEYS, "{limit} a page");
    }
    let after = |key: &[u8], prefix: &str| Range { after: Some(key.into()), ..range(prefix, 99) };
    assert_eq!(keys(store, &range("", 0)), Vec::<Vec<u8>>::new());
    assert_eq!(keys(store, &after(b"a", "")), KEYS[7..]);
    assert_eq!(keys(store, &after(b"a\0a", "")), KEYS[8..], "after a key that is not there");
    assert_eq!(keys(store, &after(b"", "a")), KEYS[6..10], "after one before the prefix");
    assert_eq!(keys(store, &after(b"a\0", "a")), KEYS[8..10]);
    assert_eq!(keys(store, &after(b"b", "a")), Vec::<Vec<u8>>::new(), "after all of the prefix");
}

/// All keys of a prefix, `limit` at a time.
fn paged(store: &mut dyn Store, prefix: &[u8], limit: usize) -> Vec<Vec<u8>> {
    let mut page = range(prefix, limit);
    let mut all = Vec::new();
    loop {
        let found = keys(store, &page);
        page.after = found.last().cloned();
        let last = found.len() < limit;
        all.extend(found);
        if last {
            return all;
        }
    }
}

pub fn paging_meets_every_key_once_while_others_write(place: &Place) {
    let (store, other) = (&mut *place(), &mut *place());
    let stays: Vec<Vec<u8>> = (0..200).map(|n| format!("k{n:04}").into_bytes()).collect();
    done(store, &stays.iter().map(|key| put(key, "")).collect::<Vec<_>>());
    let mut page = range("k", 7);
    let mut met = Vec::new();
    for (round, stays) in stays.iter().enumerate() {
        let found = keys(store, &page);
        let last = found.len() < page.limit;
        page.after = found.last().cloned();
        met.extend(found.into_iter().filter(|key| !key.ends_with(b"x")));
        if last {
            break;
        }
        done(other, &[put(format!("k{:04}x", round * 3), ""), put(stays, "again")]);
    }
    assert_eq!(met, stays);
}

pub fn versions_are_never_used_again(place: &Place) {
    let mut seen = HashSet::new();
    let mut new = |version: u64| {
        assert_ne!(version, 0);
        assert!(seen.insert(version), "{version} was used before");
    };
    for _ in 0..3 {
        let (store, other) = (&mut *place(), &mut *place());
        new(done(store, &[put("a", "1")])[0].version);
        new(done(other, &[put("a", "1")])[0].version);
        new(done(store, &[delete("a"), put("a", "1")])[1].version);
        new(done(other, &[delete_all(""), put("b", "1")])[1].version);
        new(done_at(store, &[put_until("a", NOW + 1)], NOW)[0].version);
        new(done_at(other, &[put("a", "1")], NOW + 2)[0].version);
        let two = done(store, &[put("a", "1"), put("a", "2")]);
        new(two[0].version);
        new(two[1].version);
        assert_eq!(version(other, "a"), two[1].version);
        done(other, &[delete_all("")]);
    }
}

pub fn what_a_write_did_is_told(place: &Place) {
    let store = &mut *place();
    let first = done(store, &[put("a", "1"), put("b", "1"), delete("c")]);
    assert_eq!(first.iter().map(|effect| effect.before).collect::<Vec<_>>(), [0, 0, 0]);
    assert_eq!(first[0].version, version(store, "a"));
    assert_eq!(first[1].version, version(store, "b"));
    assert_eq!(first[2], Effect::default());
    let second = done(store, &[put("a", "2"), delete("b"), delete("b")]);
    assert_eq!(second[0], Effect { before: 1, version: version(store, "a") });
    assert_eq!(second[1], Effect { before: 1, version: 0 });
    assert_eq!(second[2], Effect { before: 0, version: 0 });
}

pub fn a_commit_that_meets_another_state_does_nothing(place: &Place) {
    let store = &mut *place();
    done(store, &[put("a", "old"), put("b", "old")]);
    let before = get(store, "b");
    let writes = [
        put("new", "1"),
        delete("b"),
        delete_all("b"),
        put("b", "2"),
        only_if(put("a", "1"), Expected::Absent),
        only_if(put("b", "1"), Expected::Version(1 << 60)),
    ];
    assert_eq!(conflict(store, &writes), 4, "the first that met another state");
    assert_eq!(get(store, "b"), before);
    assert_eq!(bytes(store, "a"), Some(b"old".to_vec()));
    assert_eq!(bytes(store, "new"), None);
    done(store, &writes[..4]);
    assert_eq!(bytes(store, "b"), Some(b"2".to_vec()));
}

pub fn absent_is_what_was_never_put_or_has_gone(place: &Place) {
    let store = &mut *place();
    let once = |key: &str| only_if(put(key, "1"), Expected::Absent);
    assert_eq!(done(store, &[once("a")])[0].before, 0);
    assert_eq!(conflict(store, &[once("a")]), 0);
    done(store, &[delete("a")]);
    done(store, &[once("a"), put_until("b", NOW), once("b")]);
    assert_eq!(bytes(store, "b"), Some(b"1".to_vec()));
    assert_eq!(done(store, &[only_if(delete("c"), Expected::Absent)])[0], Effect::default());
    assert_eq!(conflict(store, &[only_if(delete("a"), Expected::Absent)]), 0);
    assert_eq!(bytes(store, "a"), Some(b"1".to_vec()));
}

pub fn a_commit_may_depend_on_what_it_leaves_alone(place: &Place) {
    let store = &mut *place();
    let fence = done(store, &[put("fence", "1")])[0].version;
    let keep = |expected| only_if(change("fence", Change::Keep), expected);
    let fenced = [keep(Expected::Version(fence)), put("a", "1")];
    assert_eq!(done(store, &fenced)[0], Effect { before: 1, version: 0 });
    done(store, &fenced);
    assert_eq!(version(store, "fence"), fence);
    done(store, &[put("fence", "2")]);
    assert_eq!(conflict(store, &[put("a", "late"), keep(Expected::Version(fence))]), 1);
    assert_eq!(conflict(store, &[keep(Expected::Absent), put("a", "late")]), 0);
    assert_eq!(bytes(store, "a"), Some(b"1".to_vec()));
}

pub fn a_version_holds_until_the_next_write(place: &Place) {
    let store = &mut *place();
    let first = done(store, &[put("a", "1")])[0].version;
    let still = |version: u64| only_if(put("a", "2"), Expected::Version(version));
    let second = done(store, &[still(first)])[0];
    assert_eq!(second.before, 1);
    assert_eq!(conflict(store, &[still(first)]), 0);
    assert_eq!(conflict(store, &[still(0)]), 0);
    assert_eq!(conflict(store, &[still(u64::MAX)]), 0);
    assert_eq!(conflict(store, &[only_if(delete("a"), Expected::Version(first))]), 0);
    done(store, &[only_if(delete("a"), Expected::Version(second.version))]);
    assert_eq!(conflict(store, &[still(second.version)]), 0, "deleted");
    let mortal = done(store, &[put_until("a", NOW + 1)])[0].version;
    let late = store.commit(&[still(mortal)], Durability::Batched, NOW + 1).unwrap();
    assert_eq!(late, Committed::Conflict(0), "expired");
}

pub fn writes_of_one_commit_see_those_before_them(place: &Place) {
    let store = &mut *place();
    let effects = done(store, &[put("a", "1"), put("a", "2"), delete("a"), put("a", "3")]);
    assert_eq!(effects.iter().map(|effect| effect.before).collect::<Vec<_>>(), [0, 1, 1, 0]);
    assert_eq!(bytes(store, "a"), Some(b"3".to_vec()));
    let once = only_if(put("a", "4"), Expected::Absent);
    assert_eq!(done(store, &[delete("a"), once.clone()])[1].before, 0);
    assert_eq!(done(store, &[delete_all(""), once.clone()])[0].before, 1);
    assert_eq!(conflict(store, &[delete("a"), put("a", "5"), once]), 2);
    assert_eq!(bytes(store, "a"), Some(b"4".to_vec()));
    let seen = version(store, "a");
    let unchanged = |key: &str| only_if(put(key, "6"), Expected::Version(seen));
    assert_eq!(conflict(store, &[put("a", "5"), unchanged("a")]), 1);
    let swept = done(store, &[put("b", "1"), put("c", "1"), delete("c"), delete_all("")]);
    assert_eq!(swept[3], Effect { before: 2, version: 0 });
    assert_eq!(keys(store, &range("", 9)), Vec::<Vec<u8>>::new());
}

pub fn an_empty_commit_is_one(place: &Place) {
    let store = &mut *place();
    for durability in [Durability::Batched, Durability::Sync] {
        let committed = store.commit(&[], durability, NOW).unwrap();
        assert_eq!(committed, Committed::Done(Vec::new()));
    }
}

pub fn delete_all_takes_a_prefix_in_one_space(place: &Place) {
    for prefix in [&b""[..], b"a", b"a\0", b"\xff", b"\xff\xff", b"b", b"\xff\xff\xff"] {
        let store = &mut *place();
        put_keys(store);
        done(store, &[Write { space: Space::Cache, ..put(prefix, "stays") }]);
        let gone = KEYS.iter().filter(|key| key.starts_with(prefix)).count();
        let effect = done(store, &[delete_all(prefix)])[0];
        assert_eq!(effect, Effect { before: gone as u64, version: 0 }, "{prefix:?}");
        let left: Vec<_> = KEYS.iter().filter(|key| !key.starts_with(prefix)).collect();
        assert_eq!(keys(store, &range("", 99)), *those_of(&left), "{prefix:?}");
        assert!(store.get(Space::Cache, prefix, NOW).unwrap().is_some());
    }
}

pub fn a_record_ends_at_its_time(place: &Place) {
    let store = &mut *place();
    done(store, &[put_until("a", NOW + 10), put("b", "")]);
    let page = range("", 9);
    for (now, there) in [(NOW, true), (NOW + 9, true), (NOW + 10, false), (NOW + 11, false)] {
        assert_eq!(store.get(Space::Memory, b"a", now).unwrap().is_some(), there, "{now}");
        assert_eq!(store.scan(&page, now).unwrap().len(), 1 + usize::from(there), "{now}");
    }
    assert!(get(store, "a").is_some(), "reading at a later time takes nothing away");
    let one = Range { limit: 1, ..page };
    let found = store.scan(&one, NOW + 10).unwrap();
    assert_eq!(found.len(), 1, "an expired record takes no place on a page");
    assert_eq!(found[0].0, b"b");
    done(store, &[put_until("a", NOW + 20), put("a", "for ever")]);
    assert_eq!(store.get(Space::Memory, b"a", NOW + 99).unwrap().unwrap().bytes, b"for ever");
}

pub fn an_expired_record_is_none_for_any_write(place: &Place) {
    let store = &mut *place();
    let mortals = ["a", "b", "c/1", "c/2"].map(|key| put_until(key, NOW + 1));
    done(store, &mortals);
    done(store, &[put("c/3", "")]);
    let effects = done_at(store, &[put("a", ""), delete("b"), delete_all("c/")], NOW + 1);
    assert_eq!(effects.iter().map(|effect| effect.before).collect::<Vec<_>>(), [0, 0, 1]);
    assert_eq!(keys(store, &range("", 9)), [b"a"]);
}

pub fn times_come_back_as_they_were(place: &Place) {
    let store = &mut *place();
    let far = 253_402_300_799_999;
    for time in [None, Some(NOW + 1), Some(far), Some((1 << 53) + 1), Some(UnixMs::MAX)] {
        done(store, &[change("a", Change::Put { bytes: Vec::new(), expires_at: time })]);
        assert_eq!(get(store, "a").map(|record| record.expires_at), Some(time));
    }
    for time in [NOW, 1, 0, -1, UnixMs::MIN] {
        done(store, &[put_until("a", time)]);
        assert_eq!(get(store, "a"), None, "{time}");
    }
}

pub fn big_values_come_back(place: &Place) {
    let store = &mut *place();
    let big: Vec<u8> =
        (0..8 << 20).map(|n: usize| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    done(store, &[put("big", &big), put("small", "1")]);
    assert!(bytes(store, "big").as_deref() == Some(&big[..]));
    let page = store.scan(&range("", 9), NOW).unwrap();
    assert!(page.len() == 2 && page[0].1.bytes == big);
    assert_eq!(done(store, &[put("big", "small now")])[0].before, 1);
    assert_eq!(bytes(store, "big"), Some(b"small now".to_vec()));
    assert_eq!(bytes(store, "small"), Some(b"1".to_vec()));
}

pub fn many_writes_are_one_commit(place: &Place) {
    const MANY: usize = 10_000;
    let store = &mut *place();
    let key = |n: usize| format!("{n:05}");
    let mut writes: Vec<Write> = (0..MANY).map(|n| put(key(n), key(n))).collect();
    writes.push(only_if(put("last", ""), Expected::Version(1 << 60)));
    assert_eq!(conflict(store, &writes), MANY);
    assert_eq!(keys(store, &range("", 9)), Vec::<Vec<u8>>::new());
    writes.pop();
    let effects = done(store, &writes);
    assert_eq!(effects.iter().map(|effect| effect.version).collect::<HashSet<_>>().len(), MANY);
    let all = store.scan(&range("", 2 * MANY), NOW).unwrap();
    assert_eq!(all.len(), MANY);
    for (n, (found, record)) in all.iter().enumerate() {
        assert_eq!((found.as_slice(), record.version), (key(n).as_bytes(), effects[n].version));
    }
    assert_eq!(done(store, &[delete_all("0")])[0].before, 10_000);
}

pub fn two_handles_see_each_other(place: &Place) {
    let (one, other) = (&mut *place(), &mut *place());
    assert_eq!(bytes(other, "a"), None);
    let first = done(one, &[put("a", "1")])[0].version;
    assert_eq!(version(other, "a"), first);
    assert_eq!(conflict(other, &[only_if(put("a", ""), Expected::Absent)]), 0);
    done(other, &[only_if(put("a", "2"), Expected::Version(first))]);
    assert_eq!(conflict(one, &[only_if(put("a", "3"), Expected::Version(first))]), 0);
    assert_eq!(bytes(one, "a"), Some(b"2".to_vec()));
    done(one, &[delete("a"), put("b", "1")]);
    assert_eq!(keys(other, &range("", 9)), [b"b"]);
    assert_eq!(keys(&mut *place(), &range("", 9)), [b"b"], "and so does a third");
}

pub fn every_durability_keeps_the_same(place: &Place) {
    let (one, other) = (&mut *place(), &mut *place());
    one.sync().unwrap();
    for (n, durability) in
        [Durability::Sync, Durability::Batched, Durability::Sync].iter().enumerate()
    {
        one.commit(&[put("a", [n as u8])], *durability, NOW).unwrap();
        assert_eq!(bytes(other, "a"), Some(vec![n as u8]));
        other.sync().unwrap();
    }
    assert_eq!(bytes(one, "a"), Some(vec![2]));
}

/// splitmix64
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn key(&mut self) -> Vec<u8> {
        (0..self.below(4)).map(|_| [0, b'a', 0xff][self.below(3)]).collect()
    }

    fn write(&mut self, now: UnixMs, versions: &[u64]) -> Write {
        let expires_at = [None, Some(now + self.below(9) as UnixMs - 2)][self.below(2)];
        let change = match self.below(8) {
            0 => Change::DeleteAll,
            1 | 2 => Change::Delete,
            3 => Change::Keep,
            n => Change::Put { bytes: vec![n as u8; self.below(9)], expires_at },
        };
        let version = versions.get(self.below(versions.len().max(1))).copied().unwrap_or(7);
        let asked = match self.below(8) {
            0 => Some(Expected::Absent),
            1 => Some(Expected::Version(version)),
            _ => None,
        };
        let only_if = asked.filter(|_| change != Change::DeleteAll);
        Write { space: Space::ALL[self.below(2)], key: self.key(), change, only_if }
    }
}

type Map = BTreeMap<(Space, Vec<u8>), Record>;

/// What a commit does to a map; versions are 0, since only the store can know them.
fn apply(map: &mut Map, writes: &[Write], now: UnixMs) -> Committed {
    let mut after = map.clone();
    let mut effects = Vec::new();
    for (n, write) in writes.iter().enumerate() {
        let place = (write.space, write.key.clone());
        after.retain(|_, record| record.expires_at.is_none_or(|end| end > now));
        let there = after.get(&place).map(|record| record.version);
        let holds = match write.only_if {
            None => true,
            Some(Expected::Absent) => there.is_none(),
            Some(Expected::Version(version)) => there == Some(version),
        };
        if !holds {
            return Committed::Conflict(n);
        }
        let held = after.len() as u64;
        match &write.change {
            Change::DeleteAll => after
                .retain(|(space, key), _| *space != write.space || !key.starts_with(&write.key)),
            Change::Keep => {
                effects.push(Effect { before: u64::from(there.is_some()), version: 0 });
                continue;
            }
            _ => drop(after.remove(&place)),
        }
        effects.push(Effect { before: held - after.len() as u64, version: 0 });
        if let Change::Put { bytes, expires_at } = &write.change {
            let record = Record { version: 0, expires_at: *expires_at, bytes: bytes.clone() };
            after.insert(place, record);
        }
    }
    *map = after;
    Committed::Done(effects)
}

/// Notes the versions that the store gave, once it is seen that it did the same.
fn note(map: &mut Map, writes: &[Write], effects: &[Effect], expected: &[Effect]) {
    for (effect, expected) in effects.iter().zip(expected) {
        assert_eq!(effect.before, expected.before);
    }
    for (write, effect) in writes.iter().zip(effects) {
        assert_eq!(effect.version != 0, matches!(write.change, Change::Put { .. }));
        if let Some(record) = map.get_mut(&(write.space, write.key.clone())) {
            record.version = effect.version.max(record.version);
        }
    }
}

pub fn random_commits_do_what_a_map_does(place: &Place) {
    let mut stores = [place(), place()];
    let mut random = Random(1);
    let mut map = Map::new();
    for round in 0..500 {
        let now = NOW + round / 2;
        let versions: Vec<u64> = map.values().map(|record| record.version).collect();
        let writes: Vec<Write> =
            (0..random.below(5)).map(|_| random.write(now, &versions)).collect();
        let store = &mut *stores[random.below(2)];
        let durability = [Durability::Batched, Durability::Sync][usize::from(random.below(9) == 0)];
        let committed = store.commit(&writes, durability, now).unwrap();
        match (committed, apply(&mut map, &writes, now)) {
            (Committed::Done(did), Committed::Done(expected)) => {
                note(&mut map, &writes, &did, &expected);
            }
            (committed, expected) => assert_eq!(committed, expected, "{writes:?}"),
        }
        same(&mut *stores[random.below(2)], &map, now, &random.key());
    }
}

fn same(store: &mut dyn Store, map: &Map, now: UnixMs, prefix: &[u8]) {
    for space in &Space::ALL[..2] {
        let alive = |record: &Record| record.expires_at.is_none_or(|end| end > now);
        let expected: Vec<(Vec<u8>, Record)> = map
            .iter()
            .filter(|((s, key), record)| s == space && key.starts_with(prefix) && alive(record))
            .map(|((_, key), record)| (key.clone(), record.clone()))
            .collect();
        let page = Range { space: *space, ..range(prefix, 1000) };
        assert_eq!(store.scan(&page, now).unwrap(), expected);
        let one = map.get(&(*space, prefix.to_vec())).filter(|record| alive(record));
        assert_eq!(store.get(*space, prefix, now).unwrap().as_ref(), one);
    }
}
