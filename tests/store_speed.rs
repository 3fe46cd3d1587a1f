//! What a store costs, measured by hand:
//! `cargo test --profile quick --test store_speed -- --ignored --nocapture`.

#[path = "common/stores.rs"]
mod stores;

use stores::*;
use zigllms::clock::Clock;
use zigllms::store::memory::Memory;
use zigllms::store::sqlite::Sqlite;
use zigllms::store::{Change, Durability, Range, Space, Store, Write};

const VALUE: [u8; 256] = [b'v'; 256];

/// Microseconds for each of `times` calls of `what`.
fn measure(times: usize, mut what: impl FnMut(usize)) -> f64 {
    let clock = Clock::default();
    let start = clock.now();
    for n in 0..times {
        what(n);
    }
    clock.now().ms_since(start) * 1e3 / times as f64
}

fn key(n: usize) -> String {
    format!("agent/{:06}", n.wrapping_mul(7919) % 100_000)
}

fn puts(store: &mut dyn Store, durability: Durability) {
    for batch in [1, 10, 100, 1000] {
        let rounds =
            (4000 / batch).clamp(10, if durability == Durability::Sync { 200 } else { 4000 });
        let cost = measure(rounds, |round| {
            let writes: Vec<Write> =
                (0..batch).map(|n| put(key(round * batch + n), VALUE)).collect();
            done(store, &writes, durability);
        });
        println!("put {durability:?}, {batch:4} a commit: {:8.1} us each", cost / batch as f64);
    }
}

#[test]
#[ignore = "a measurement"]
fn puts_gets_and_scans() {
    let folder = Folder::new("speed");
    let store = &mut open(&folder.file());
    puts(store, Durability::Batched);
    puts(store, Durability::Sync);
    let got = measure(20_000, |n| {
        assert!(store.get(Space::Memory, key(n % 4000).as_bytes(), NOW).is_ok())
    });
    println!("get: {got:.2} us");
    let range = Range { space: Space::Memory, prefix: b"agent/".into(), after: None, limit: 1000 };
    let page = measure(100, |_| assert_eq!(store.scan(&range, NOW).unwrap().len(), 1000));
    println!("scan: {:.2} us a record", page / 1000.0);
    let sync = measure(100, |_| store.sync().unwrap());
    println!("sync: {sync:.1} us");
    let memory = &mut Memory::default();
    puts(memory, Durability::Batched);
}

#[test]
#[ignore = "a measurement"]
fn deleting_a_prefix() {
    let folder = Folder::new("speed");
    let store = &mut open(&folder.file());
    for size in [1000, 100_000] {
        let writes: Vec<Write> = (0..size).map(|n| put(format!("p/{n:06}"), VALUE)).collect();
        done(store, &writes, Durability::Batched);
        let all = Write { change: Change::DeleteAll, ..put("p/", "") };
        let cost =
            measure(1, |_| drop(done(store, std::slice::from_ref(&all), Durability::Batched)));
        println!("delete all of {size}: {:.1} ms", cost / 1e3);
    }
}

#[test]
#[ignore = "a measurement"]
fn opening() {
    let folder = Folder::new("speed");
    let path = folder.file();
    println!("create: {:.2} ms", measure(1, |_| drop(open(&path))) / 1e3);
    println!("open an empty one: {:.2} ms", measure(20, |_| drop(open(&path))) / 1e3);
    for (mib, value) in [(1, 256), (16, 256), (60, 256), (64, 4096), (70, 256)] {
        std::fs::remove_file(&path).unwrap();
        let mut store = open(&path);
        let count = (mib << 20) / (value + 50);
        for from in (0..count).step_by(5000) {
            let writes: Vec<Write> = (from..count.min(from + 5000))
                .map(|n| put(format!("agent/{n:07}"), vec![n as u8; value]))
                .collect();
            done(&mut store, &writes, Durability::Batched);
        }
        drop(store);
        let size = std::fs::metadata(&path).unwrap().len() as f64 / (1 << 20) as f64;
        let cost = measure(3, |_| drop(Sqlite::open(&path).unwrap()));
        println!("open {size:.1} MiB of {count} records: {:.1} ms", cost / 1e3);
    }
}
