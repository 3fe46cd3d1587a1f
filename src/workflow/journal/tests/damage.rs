//! Damage of any record is an error, and never another value.

use super::*;
use crate::store::{Change, Durability, Range, Record, Space};

on_every_engine! {
    damage_of_every_kind_is_found
    a_damaged_run_is_kept_from_nobody
    a_damaged_run_hides_no_other
    what_a_newer_version_wrote_is_named
}

/// A run with a record of every kind.
fn everything(store: &mut dyn Store) -> Arc<Held> {
    let (held, _) = take(store, &claim("r"), &Owner::here()).unwrap();
    held.leave(store, &ending(Over::Paused), KEEP_MS, &clock()).unwrap();
    let (held, _) = take(store, &claim("r"), &Owner::here()).unwrap();
    held.queue("", started("a"));
    held.queue("", ended("b", json!(1)));
    held.queue("", Entry::Decided { path: "b".into(), value: json!(1) });
    held.queue("", Entry::Boundary(Boundary::default()));
    held.queue("", Entry::Child { path: "b".into(), child: Child::default() });
    held.queue("", Entry::Waiting { path: "w".into(), state: json!({}) });
    flush(&held, store).unwrap();
    super::super::wish::send(store, "r", &Wish::Pause, KEEP_MS, &clock()).unwrap();
    held
}

fn records(store: &mut dyn Store) -> Vec<(Vec<u8>, Record)> {
    let all = Range { space: Space::Journal, prefix: Vec::new(), after: None, limit: 100 };
    store.scan(&all, clock().unix_ms()).unwrap()
}

fn put(store: &mut dyn Store, key: &[u8], bytes: Vec<u8>, expires_at: Option<i64>) {
    let write = layout::write(key.to_vec(), Change::Put { bytes, expires_at });
    store.commit(&[write], Durability::Sync, clock().unix_ms()).unwrap();
}

/// Everything that reads the run; the first error.
fn read_all(store: &mut dyn Store) -> Result<()> {
    read::load(store, "r", &clock())?;
    let (lease, wish) = (read::lease(store, "r", clock().unix_ms())?, layout::wish("r"));
    assert!(lease.is_some());
    match store.get(Space::Journal, &wish, clock().unix_ms())? {
        Some(record) => Wish::read(&wish, &record.bytes).map(drop),
        None => panic!("the wish is gone"),
    }
}

fn damage_of_every_kind_is_found(place: &Place) {
    let store = &mut *place();
    everything(store);
    let whole = records(store);
    assert_eq!(whole.len(), 11);
    read_all(store).unwrap();
    for (key, record) in &whole {
        let shown = String::from_utf8_lossy(key).into_owned();
        let (mut flipped, cut) = (record.bytes.clone(), record.bytes.len() / 2);
        *flipped.last_mut().unwrap() ^= 1;
        for bytes in [flipped, record.bytes[..cut].to_vec(), Vec::new()] {
            put(store, key, bytes, record.expires_at);
            let error = read_all(store).unwrap_err();
            assert_eq!(
                (error.code(), reason(&error).as_str()),
                (Code::IoError, "corrupt"),
                "{shown}"
            );
        }
        put(store, key, record.bytes.clone(), record.expires_at);
    }
    // A record is none of another key.
    let other = whole.iter().find(|(key, _)| key.starts_with(b"rr\0\0sb")).unwrap();
    put(store, &layout::detail("r", "", layout::Kind::Step, "a"), other.1.bytes.clone(), None);
    assert_eq!(reason(&read_all(store).unwrap_err()), "corrupt");
    put(store, b"rr\0\0?a", b"x".to_vec(), None);
    assert_eq!(reason(&read_all(store).unwrap_err()), "corrupt");
}

fn what_a_newer_version_wrote_is_named(place: &Place) {
    let store = &mut *place();
    everything(store);
    for (key, record) in records(store) {
        let bytes = codec::tests::newer(&key, &record.bytes);
        put(store, &key, bytes, record.expires_at);
        assert_eq!(read_all(store).unwrap_err().code(), Code::Unsupported);
        put(store, &key, record.bytes, record.expires_at);
    }
    read_all(store).unwrap();
}

fn a_damaged_run_is_kept_from_nobody(place: &Place) {
    let store = &mut *place();
    let held = everything(store);
    held.release(store, &clock()).unwrap();
    let step = layout::detail("r", "", layout::Kind::Step, "a");
    put(store, &step, b"x".to_vec(), None);
    for _ in 0..2 {
        let error = take(store, &claim("r"), &Owner::here()).map(drop).unwrap_err();
        assert_eq!(reason(&error), "corrupt");
    }
    assert!(read::lease(store, "r", clock().unix_ms()).unwrap().is_none());
}

fn a_damaged_run_hides_no_other(place: &Place) {
    let store = &mut *place();
    everything(store);
    take(store, &Claim { run: "whole".into(), ..claim("whole") }, &dead()).unwrap();
    for key in [layout::lease("r"), layout::head("r")] {
        put(store, &key, b"x".to_vec(), None);
        let listed = read::runs(store, &Filter::default(), &clock()).unwrap();
        assert!(listed.heads.iter().any(|head| head.run == "whole"));
        let unreadable = listed.unreadable.iter().map(|(run, error)| (run.as_str(), reason(error)));
        let expected = (key == layout::head("r")).then(|| ("r", "corrupt".to_owned()));
        assert_eq!(unreadable.collect::<Vec<_>>(), Vec::from_iter(expected));
    }
}
