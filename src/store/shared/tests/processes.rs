//! What is left in a real file when a process ends, forks or is killed. Each test runs itself again
//! as the process that it looks at.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, WaitOptions, waitpid};

use super::*;
use crate::net::testing::sleep_ms;
use crate::net::workers::{exit_child, fork};
use crate::store::sqlite::Sqlite;
use crate::testing::Folder;

const FILE: &str = "ZIGLLMS_TEST_STORE";

/// The file to work on, in the process that is looked at.
fn inside() -> Option<Shared> {
    let file = std::env::var_os(FILE)?;
    Some(Shared::of(&Place::Sqlite(file.into()), Clock::default()))
}

fn begin(name: &str, file: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("store::shared::tests::processes::{name}"), "--nocapture"])
        .env(FILE, file)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn run(name: &str, file: &Path) -> (ExitStatus, String) {
    let output = begin(name, file).wait_with_output().unwrap();
    (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn stored(file: &Path, key: &str) -> Option<String> {
    let record = Sqlite::open(file).unwrap().get(Space::Memory, key.as_bytes(), 0).unwrap()?;
    Some(String::from_utf8(record.bytes).unwrap())
}

fn log_of(file: &Path) -> PathBuf {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

#[test]
fn the_end_of_a_process_loses_nothing() {
    if let Some(shared) = inside() {
        shared.queue((0..50).map(|i| put(&format!("k{i}"), "v")).collect(), PATIENT).unwrap();
        std::mem::forget(shared);
        std::process::exit(7);
    }
    let folder = Folder::new();
    let (status, said) = run("the_end_of_a_process_loses_nothing", &folder.file());
    assert_eq!((status.code(), said.as_str()), (Some(7), ""));
    assert!(!log_of(&folder.file()).exists(), "the store is closed: it is all in one file");
    assert_eq!(stored(&folder.file(), "k49").as_deref(), Some("v"));
}

#[test]
fn what_is_lost_at_the_end_is_said() {
    if let Some(shared) = inside() {
        shared.queue(vec![put("k", "v")], PATIENT).unwrap();
        std::mem::forget(shared);
        std::process::exit(7);
    }
    let file = Path::new("/no/such/directory/s.db");
    let (status, said) = run("what_is_lost_at_the_end_is_said", file);
    assert_eq!(status.code(), Some(7));
    let begin = "zigllms: 1 writes to the store \"/no/such/directory/s.db\" are lost: ";
    assert!(said.starts_with(begin), "{said}");
}

#[test]
fn a_killed_process_loses_what_was_not_due() {
    if let Some(shared) = inside() {
        shared.queue(vec![put("early", "v")], QUICK).unwrap();
        while shared.queued() > 0 {
            std::thread::yield_now();
        }
        shared.queue(vec![put("durable", "v")], PATIENT).unwrap();
        flush(&shared).unwrap();
        shared.queue(vec![put("late", "v")], PATIENT).unwrap();
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        sleep_ms(10_000);
    }
    let folder = Folder::new();
    let (status, _) = run("a_killed_process_loses_what_was_not_due", &folder.file());
    assert_eq!(status.code(), None);
    let there = ["early", "durable", "late"].map(|key| stored(&folder.file(), key).is_some());
    assert_eq!(there, [true, true, false]);
}

/// A child goes on with the same handle, and what its parent had queued is the parent's to write.
#[test]
fn a_forked_child_has_a_store_of_its_own() {
    let Some(shared) = inside() else {
        let folder = Folder::new();
        let (status, said) = run("a_forked_child_has_a_store_of_its_own", &folder.file());
        assert!(status.success(), "{said}");
        let count = stored(&folder.file(), "count").unwrap();
        assert_eq!((count.as_str(), stored(&folder.file(), "parent")), ("400", Some("1".into())));
        return;
    };
    let memory = Shared::of(&Place::Memory, Clock::default());
    memory.queue(vec![put("in memory", "parent")], PATIENT).unwrap();
    shared.queue(vec![put("parent", "1")], PATIENT).unwrap();
    increment(&shared, "count").unwrap();
    let children: Vec<Pid> = (0..4).map(|n| child(n, &shared, &memory)).collect();
    for _ in 1..200 {
        increment(&shared, "count").unwrap();
        shared.queue(vec![put("between", "x")], QUICK).unwrap();
    }
    for child in children {
        let (_, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(0));
    }
}

fn child(n: usize, shared: &Shared, memory: &Shared) -> Pid {
    // The thread is in the middle of something.
    let noise = (0..100).map(|i| put(&format!("noise{i}"), "x")).collect();
    shared.queue(noise, PATIENT).unwrap();
    shared.queue(vec![put(&format!("queued{n}"), "x")], PATIENT).unwrap();
    if let Some(child) = fork() {
        return child;
    }
    let fine = shared.queued() == 0
        && get(memory, "in memory").as_deref() == Some("parent")
        && (0..50).all(|_| increment(shared, "count").is_ok())
        && shared.flush_blocking(LONG).is_ok();
    exit_child(if fine { 0 } else { 1 })
}

#[test]
fn closing_in_a_child_leaves_the_parent_alone() {
    let Some(shared) = inside() else {
        let folder = Folder::new();
        let (status, said) = run("closing_in_a_child_leaves_the_parent_alone", &folder.file());
        assert!(status.success(), "{said}");
        assert_eq!(stored(&folder.file(), "after").as_deref(), Some("1"));
        return;
    };
    shared.queue(vec![put("before", "1")], PATIENT).unwrap();
    flush(&shared).unwrap();
    shared.queue(vec![put("queued", "1")], PATIENT).unwrap();
    let Some(child) = fork() else {
        let fine = get(&shared, "before").is_some() && get(&shared, "queued").is_none();
        drop(shared);
        exit_child(if fine { 0 } else { 1 });
    };
    let (_, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().unwrap();
    assert_eq!(status.exit_status(), Some(0));
    assert_eq!(get(&shared, "queued").as_deref(), Some("1"));
    shared.queue(vec![put("after", "1")], PATIENT).unwrap();
}

/// A store that closes with its last user may be wanted again at that moment.
#[test]
fn users_come_and_go() {
    let folder = Folder::new();
    let place = Place::Sqlite(folder.file());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let place = &place;
            scope.spawn(move || {
                for i in 0..25 {
                    let shared = Shared::of(place, Clock::default());
                    shared.queue(vec![put(&format!("k{thread}.{i}"), "v")], PATIENT).unwrap();
                    increment(&shared, "count").unwrap();
                }
            });
        }
    });
    assert_eq!(stored(&folder.file(), "count").as_deref(), Some("100"));
    let all = Range { space: Space::Memory, prefix: b"k".to_vec(), after: None, limit: 1000 };
    assert_eq!(Sqlite::open(&folder.file()).unwrap().scan(&all, 0).unwrap().len(), 100);
}
