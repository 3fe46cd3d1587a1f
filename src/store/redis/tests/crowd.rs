//! Many clients of one store at once. `ZIGLLMS_SWEEP=full` makes them as many as there should be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{fresh_url, whole};
use crate::clock::Clock;
use crate::store::conformance::{NOW, delete_all, put};
use crate::store::redis::Redis;
use crate::store::{Committed, Durability, Expected, Range, Space, Store, Write};

fn many(small: usize, full: usize) -> usize {
    if std::env::var("ZIGLLMS_SWEEP").is_ok_and(|size| size == "full") { full } else { small }
}

/// Adds one, however often others come first.
fn increment(store: &mut Redis) {
    loop {
        let old = store.get(Space::Memory, b"count", NOW).unwrap();
        let number: u64 = old
            .as_ref()
            .map_or(0, |record| std::str::from_utf8(&record.bytes).unwrap().parse().unwrap());
        let expected = old.map_or(Expected::Absent, |record| Expected::Version(record.version));
        let write = Write { only_if: Some(expected), ..put("count", (number + 1).to_string()) };
        if let Committed::Done(_) = store.commit(&[write], Durability::Batched, NOW).unwrap() {
            return;
        }
    }
}

#[test]
fn eight_clients_count_exactly() {
    let Some(url) = fresh_url() else { return };
    let each = many(50, 500);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let mut store = Redis::open(&url).unwrap();
            thread::spawn(move || (0..each).for_each(|_| increment(&mut store)))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let total = Redis::open(&url).unwrap().get(Space::Memory, b"count", NOW).unwrap().unwrap();
    assert_eq!(String::from_utf8(total.bytes).unwrap(), (8 * each).to_string());
}

fn fill(store: &mut Redis, count: usize) {
    let writes: Vec<Write> = (0..count).map(|n| put(format!("{n:07}"), format!("{n}"))).collect();
    for portion in writes.chunks(10_000) {
        store.commit(portion, Durability::Batched, NOW).unwrap();
    }
}

#[test]
fn pages_have_every_key_once_while_others_write() {
    let Some(url) = fresh_url() else { return };
    let count = many(3_000, 100_000);
    let mut store = Redis::open(&url).unwrap();
    fill(&mut store, count);
    let stop = Arc::new(AtomicBool::new(false));
    let (writer, mut other) = (stop.clone(), Redis::open(&url).unwrap());
    let writing = thread::spawn(move || {
        let mut number = 0;
        while !writer.load(Ordering::Relaxed) {
            number += 1;
            // Between the keys that are read, and over them.
            let key = number * 7919 % count;
            let writes = [put(format!("{key:07}x"), ""), put(format!("{key:07}"), "again")];
            other.commit(&writes, Durability::Batched, NOW).unwrap();
        }
    });
    let (mut seen, mut last, mut range) = (0, Vec::new(), whole(1_000));
    loop {
        let page = store.scan(&range, NOW).unwrap();
        for (key, _) in &page {
            assert!(*key > last);
            last.clone_from(key);
            seen += usize::from(key.len() == 7);
        }
        if page.len() < range.limit {
            break;
        }
        range.after = Some(last.clone());
    }
    stop.store(true, Ordering::Relaxed);
    writing.join().unwrap();
    assert_eq!(seen, count);
}

#[test]
fn a_deletion_of_many_is_seen_whole_or_not_at_all() {
    let Some(url) = fresh_url() else { return };
    let count = many(20_000, 1_000_000);
    let clock = Clock::default();
    let mut store = Redis::open(&url).unwrap();
    fill(&mut store, count);
    let (mut other, last) = (Redis::open(&url).unwrap(), format!("{:07}", count - 1));
    let watching = thread::spawn(move || {
        let mut there =
            |key: &str| other.get(Space::Memory, key.as_bytes(), NOW).unwrap().is_some();
        let mut looks = 0;
        loop {
            let first = there("0000000");
            let (last, first_again) = (there(&last), there("0000000"));
            // What went between two looks is gone for both of those that follow.
            assert!(first || !last, "the first was gone, the last was there");
            assert!(last || !first_again, "the last was gone, the first was there");
            looks += 1;
            if !first {
                return looks;
            }
        }
    });
    let began = clock.now();
    let removed = store.commit(&[delete_all("")], Durability::Batched, NOW).unwrap();
    println!("{count} records deleted in {:.0} ms", clock.now().ms_since(began));
    assert!(watching.join().unwrap() > 0);
    assert!(matches!(removed, Committed::Done(effects) if effects[0].before == count as u64));
    let all = Range { limit: 1, ..whole(1) };
    assert!(store.scan(&all, NOW).unwrap().is_empty());
}
