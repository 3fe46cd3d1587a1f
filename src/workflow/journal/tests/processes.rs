//! Owners that are killed between commits, or in the middle of one. Each test runs itself again as
//! the process that it looks at.

use std::io::{BufRead, BufReader};
use std::process::{Child as Process, Command, Stdio};

use super::*;
use crate::net::testing::sleep_ms;

const PLACE: &str = "ZIGLLMS_TEST_JOURNAL";

/// The store to work on, in the process that is looked at.
fn inside() -> Option<Box<dyn Store>> {
    let place = std::env::var(PLACE).ok()?;
    #[cfg(feature = "redis")]
    if place.contains("://") {
        return Some(Box::new(crate::store::redis::Redis::open(&place).unwrap()));
    }
    Some(Box::new(crate::store::sqlite::Sqlite::open(place.as_ref()).unwrap()))
}

fn begin(name: &str, place: &str) -> Process {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("workflow::journal::tests::processes::{name}"), "--nocapture"])
        .env(PLACE, place)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Goes on with the run and says each step that is acknowledged.
fn work(store: &mut dyn Store) -> ! {
    let (held, recorded) = take(store, &claim("r"), &Owner::here()).unwrap();
    let first = recorded.map_or(0, |recorded| recorded.own.in_order().len());
    println!("\nclaimed {} {first}", held.owned.head.fence);
    for number in first.. {
        let path = format!("s{number:06}");
        held.queue("", ended(&path, json!(number)));
        held.queue("", started(&format!("s{:06}", number + 1)));
        held.queue(
            "",
            Entry::Boundary(Boundary { worked_ms: number as f64, ..Boundary::default() }),
        );
        flush(&held, store).unwrap();
        println!("did {number}");
    }
    unreachable!()
}

/// What it says is acknowledged until it is killed, after so many steps.
fn kill_after(mut process: Process, steps: usize) -> usize {
    let mut lines =
        BufReader::new(process.stdout.take().unwrap()).lines().map(std::io::Result::unwrap);
    let mut did = None;
    let number = |line: &str| line.strip_prefix("did ")?.parse::<usize>().ok();
    for number in lines.by_ref().filter_map(|line| number(&line)).take(steps) {
        did = Some(number);
    }
    process.kill().unwrap();
    process.wait().unwrap();
    lines.filter_map(|line| number(&line)).last().or(did).unwrap()
}

fn nothing_is_lost(name: &str, place: &str, open: impl Fn() -> Box<dyn Store>) {
    let mut fence = 0;
    for round in 1..8 {
        let did = kill_after(begin(name, place), 3 + 7 * round % 11);
        let store = &mut *open();
        let recorded = load(store, "r");
        assert!(!recorded.head.is_owned && recorded.head.fence > fence, "its owner is gone");
        fence = recorded.head.fence;
        let steps = recorded.own.in_order();
        // The last one may be in the store without an answer.
        assert!(steps.len() == did + 1 || steps.len() == did + 2, "{} {did}", steps.len());
        let last = steps.len() - 1;
        for (number, (_, _, end)) in steps.iter().enumerate() {
            assert_eq!(end.output.to_json(), json!(number));
        }
        assert_eq!(recorded.own.boundary.worked_ms, last as f64, "a batch is whole or not there");
        let next = &recorded.own.steps[&format!("s{:06}", last + 1)];
        assert!(matches!(next, Step::Started { .. }));
    }
}

#[test]
fn a_killed_owner_loses_no_step_in_sqlite() {
    if let Some(mut store) = inside() {
        work(&mut *store);
    }
    let folder = Folder::new();
    let file = folder.file();
    let name = "a_killed_owner_loses_no_step_in_sqlite";
    nothing_is_lost(name, file.to_str().unwrap(), sqlite(&folder));
}

#[cfg(feature = "redis")]
#[test]
fn a_killed_owner_loses_no_step_in_redis() {
    if let Some(mut store) = inside() {
        work(&mut *store);
    }
    let Some(url) = crate::store::redis::tests::fresh_url() else { return };
    let name = "a_killed_owner_loses_no_step_in_redis";
    let open = || -> Box<dyn Store> { Box::new(crate::store::redis::Redis::open(&url).unwrap()) };
    nothing_is_lost(name, &url, open);
}

/// A process that lives keeps its run, for all that others do.
#[test]
fn processes_do_not_share_a_run() {
    if let Some(mut store) = inside() {
        work(&mut *store);
    }
    let folder = Folder::new();
    let place = folder.file();
    let mut first = begin("processes_do_not_share_a_run", place.to_str().unwrap());
    let mut lines =
        BufReader::new(first.stdout.take().unwrap()).lines().map(std::io::Result::unwrap);
    assert!(lines.any(|line| line == "did 2"));
    let store = &mut *sqlite(&folder)();
    let error = take(store, &claim("r"), &Owner::here()).unwrap_err();
    assert_eq!(
        (reason(&error).as_str(), &error.members()["owner"]["pid"]),
        ("owned", &json!(first.id()))
    );
    let second = begin("processes_do_not_share_a_run", place.to_str().unwrap());
    assert!(!second.wait_with_output().unwrap().status.success());
    assert!(lines.next().is_some_and(|line| line.starts_with("did ")));
    first.kill().unwrap();
    // Its end is seen before its parent has asked for it.
    sleep_ms(100);
    take(store, &claim("r"), &Owner::here()).unwrap();
    first.wait().unwrap();
}
