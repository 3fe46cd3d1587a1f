//! Stores whose process is killed, whose disk fails or is full, and that many processes share.
//!
//! The tests start this program again as a child, which uses a store until something happens to it.
//! `ZIGLLMS_SWEEP=full`: at every system call, and a thousand times at random.

#[path = "common/stores.rs"]
mod stores;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stores::*;
use zigllms::error::Error;
use zigllms::store::sqlite::Sqlite;
use zigllms::store::{Committed, Durability, Expected, Space, Store, Write};

const TASK: &str = "ZIGLLMS_STORE_TASK";
const PLACE: &str = "ZIGLLMS_STORE_PLACE";

// The child.

#[test]
#[ignore = "what the other tests start"]
fn as_child() {
    let place = PathBuf::from(std::env::var(PLACE).expect("a place"));
    let task = std::env::var(TASK).expect("a task");
    let mut child = Work { file: place.join("store.db"), log: log(&place) };
    match task.as_str() {
        "commits" => child.commits(),
        "endless" => child.endless(),
        "increments" => child.increments(),
        "fork" => child.fork(),
        "read-only" => child.read_only(),
        other => panic!("no such task: {other}"),
    }
    child.note("end");
}

fn log(place: &Path) -> fs::File {
    fs::OpenOptions::new().create(true).append(true).open(place.join("log")).unwrap()
}

struct Work {
    file: PathBuf,
    log: fs::File,
}

/// Twice the same under two keys: a commit that is seen by half would show.
fn pair(n: usize, bytes: &[u8]) -> [Write; 2] {
    [put(format!("{n:06}/a"), bytes), put(format!("{n:06}/b"), bytes)]
}

const PAIRS: usize = 6;
const GROUPS: usize = 4;
const GROUP: usize = 25;

fn group(n: usize) -> Vec<Write> {
    (0..GROUP).map(|i| put(format!("group/{n}/{i:02}"), vec![n as u8; 300])).collect()
}

impl Work {
    /// One write, so that it is in the log as a whole or not at all.
    fn note(&mut self, what: &str) {
        self.log.write_all(format!("{what}\n").as_bytes()).unwrap();
    }

    /// What a program does that is told of a failure: it calls once more.
    fn again<T>(&mut self, mut call: impl FnMut() -> Result<T, Error>) -> T {
        for _ in 0..4 {
            match call() {
                Ok(done) => return done,
                Err(error) => self.note(&format!("failed {} {error}", reason(&error))),
            }
        }
        call().unwrap()
    }

    fn open(&mut self) -> Sqlite {
        let file = self.file.clone();
        self.again(|| Sqlite::open(&file))
    }

    fn commits(&mut self) {
        let mut store = self.open();
        for n in 0..PAIRS {
            self.again(|| store.commit(&pair(n, &[n as u8; 200]), Durability::Sync, NOW));
            self.note(&format!("pair {n}"));
        }
        for n in 0..GROUPS {
            self.again(|| store.commit(&group(n), Durability::Batched, NOW));
        }
        self.again(|| store.sync());
        self.note("groups");
        assert_eq!(contents(&mut store).unwrap()[0].len(), 2 * PAIRS + GROUPS * GROUP);
    }

    /// Commits until it is killed, from where the last one was.
    fn endless(&mut self) {
        self.note("begin");
        let mut store = self.open();
        let last = contents(&mut store).unwrap()[0].last().map(|(key, _)| key.clone());
        let first = last.map_or(0, |key| number(&key) + 1);
        for n in first.. {
            let mut writes = pair(n, &vec![n as u8; n * 997 % 20_000]).to_vec();
            let old = n.saturating_sub(20);
            writes.extend(
                pair(old, b"")
                    .map(|write| Write { change: zigllms::store::Change::Delete, ..write }),
            );
            if old == 0 {
                writes.truncate(2);
            }
            done(&mut store, &writes, Durability::Sync);
            self.note(&format!("pair {n}"));
        }
    }

    fn increments(&mut self) {
        let mut store = self.open();
        for _ in 0..500 {
            while !increment(&mut store) {}
        }
    }

    /// A store that is open when the process forks, used on both sides and closed on one.
    fn fork(&mut self) {
        let mut store = self.open();
        done(&mut store, &[put("before", "")], Durability::Batched);
        // SAFETY: this process has no other threads that hold locks.
        let child = unsafe { libc::fork() };
        if child == 0 {
            done(&mut store, &[put("child/1", "")], Durability::Batched);
            let mut other = open(&self.file);
            await_notes("closed", 1, self.file.parent().unwrap());
            done(&mut store, &[put("child/2", "")], Durability::Batched);
            done(&mut other, &[put("child/3", "")], Durability::Batched);
            std::process::exit(0);
        }
        done(&mut store, &[put("parent", "")], Durability::Batched);
        while store.get(Space::Memory, b"child/1", NOW).unwrap().is_none() {}
        drop(store);
        self.note("closed");
        let mut status = 0;
        // SAFETY: the status is a local variable.
        unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!(status, 0);
        let found = contents(&mut open(&self.file)).unwrap();
        let keys: Vec<_> = found[0].iter().map(|(key, _)| String::from_utf8_lossy(key)).collect();
        assert_eq!(keys, ["before", "child/1", "child/2", "child/3", "parent"]);
    }

    fn read_only(&mut self) {
        let mut store = match Sqlite::open(&self.file) {
            Ok(store) => store,
            Err(error) => return self.note(&format!("open {}", reason(&error))),
        };
        let found = store.get(Space::Memory, b"key", NOW).unwrap().unwrap();
        assert_eq!(found.bytes, b"value");
        let failed = store.commit(&[put("key", "other")], Durability::Batched, NOW).unwrap_err();
        self.note(&format!("commit {}", reason(&failed)));
    }
}

fn increment(store: &mut Sqlite) -> bool {
    let found = store.get(Space::Memory, b"sum", NOW).unwrap();
    let sum = found.as_ref().map_or(0, |record| number(&record.bytes));
    let expected = found.map_or(Expected::Absent, |record| Expected::Version(record.version));
    let write = Write { only_if: Some(expected), ..put("sum", (sum + 1).to_string()) };
    matches!(store.commit(&[write], Durability::Batched, NOW).unwrap(), Committed::Done(_))
}

/// The digits that bytes begin with.
fn number(bytes: &[u8]) -> usize {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
}

fn await_notes(note: &str, times: usize, place: &Path) {
    while notes(place).iter().filter(|line| line.starts_with(note)).count() < times {
        pause(Duration::from_millis(1));
    }
}

// Those who start it.

fn notes(place: &Path) -> Vec<String> {
    let text = fs::read_to_string(place.join("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn command(program: &Path, task: &str, folder: &Folder) -> Command {
    let mut command = Command::new(program);
    command.args(["as_child", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    of(command, task, folder)
}

fn of(mut command: Command, task: &str, folder: &Folder) -> Command {
    command.env(TASK, task).env(PLACE, &folder.0);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn this() -> PathBuf {
    std::env::current_exe().unwrap()
}

fn finish(child: Child) {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// `inject` as strace takes it; what strace has seen of it. `None` where it cannot be used.
fn traced(inject: &str, folder: &Folder) -> Option<String> {
    let seen = folder.0.join("seen");
    let file = folder.file();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&seen).args(["-e", &format!("inject={inject}")]);
    for suffix in ["", "-wal", "-shm", ".new"] {
        let mut path = file.clone().into_os_string();
        path.push(suffix);
        command.arg("-P").arg(path);
    }
    command.arg("-P").arg(&folder.0).arg(this());
    command.args(["as_child", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    let output = of(command, "commits", folder).output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("ptrace") && notes(&folder.0).is_empty() {
        return None;
    }
    let ended = notes(&folder.0).iter().any(|line| line == "end");
    assert!(ended || inject.contains("signal"), "{inject}: {said}");
    Some(fs::read_to_string(seen).unwrap_or_default())
}

fn can_trace() -> bool {
    let works = traced("fsync:error=EIO:when=9999", &Folder::new("trace")).is_some();
    if !works {
        println!("SKIP: strace is missing, or may not trace here");
    }
    works
}

/// All that was acknowledged is there, every commit as a whole, and the store goes on.
fn check_commits(folder: &Folder, what: &str) {
    let notes = notes(&folder.0);
    let mut store = Sqlite::open(&folder.file()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut is_there = |write: &Write| {
        let change = store.get(Space::Memory, &write.key, NOW).unwrap();
        change.is_some()
    };
    let mut whole = |writes: &[Write]| {
        let there = writes.iter().filter(|write| is_there(write)).count();
        assert!(there == 0 || there == writes.len(), "{what}: {there} of {writes:?}");
        there > 0
    };
    let pairs: Vec<bool> = (0..PAIRS).map(|n| whole(&pair(n, b""))).collect();
    let groups: Vec<bool> = (0..GROUPS).map(|n| whole(&group(n))).collect();
    for (n, there) in pairs.iter().enumerate() {
        assert!(*there || !notes.contains(&format!("pair {n}")), "{what}: pair {n} is lost");
    }
    assert!(
        !notes.contains(&"groups".to_owned()) || !groups.contains(&false),
        "{what}: {groups:?}"
    );
    let in_order: Vec<bool> = pairs.into_iter().chain(groups).collect();
    assert!(in_order.is_sorted_by(|a, b| a >= b), "{what}: {in_order:?}");
    done(&mut store, &[put("after", what)], Durability::Sync);
}

/// Calls `at` with 1, 2, 3, … until it returns false: after what strace has seen the last of.
fn sweep(step: usize, mut at: impl FnMut(usize) -> bool) -> usize {
    let mut call = 1;
    while at(call) {
        call += step;
    }
    call
}

#[test]
fn killed_at_any_system_call_it_loses_nothing_acknowledged() {
    if !can_trace() {
        return;
    }
    let step = if full() { 1 } else { 23 };
    let calls = sweep(step, |call| {
        let folder = Folder::new("kill");
        traced(&format!("all:signal=SIGKILL:when={call}"), &folder).unwrap();
        check_commits(&folder, &format!("killed at call {call}"));
        !notes(&folder.0).contains(&"end".to_owned())
    });
    println!("killed at every {step}. of {calls} calls");
    assert!(calls > 100, "{calls}");
}

#[test]
fn a_disk_that_fails_once_is_an_error_and_the_next_call_works() {
    if !can_trace() {
        return;
    }
    let calls = "write,pwrite64,fsync,fdatasync,ftruncate,fallocate";
    let step = if full() { 1 } else { 9 };
    for error in ["EIO", "ENOSPC"] {
        let mut told = 0;
        let count = sweep(step, |call| {
            let folder = Folder::new("fail");
            let seen = traced(&format!("{calls}:error={error}:when={call}"), &folder).unwrap();
            check_commits(&folder, &format!("{error} at call {call}"));
            let failures: Vec<String> =
                notes(&folder.0).into_iter().filter(|line| line.starts_with("failed")).collect();
            for failure in &failures {
                let reason = failure.split(' ').nth(1).unwrap();
                assert!(["io", "full"].contains(&reason), "{error} at call {call}: {failure}");
            }
            assert_eq!(folder.names().iter().filter(|name| name.ends_with(".new")).count(), 0);
            told += failures.len();
            seen.contains("INJECTED")
        });
        println!("{error} at every {step}. of {count} calls: {told} errors");
        assert!(told > 0);
    }
}

#[test]
fn killed_at_random_it_loses_nothing_acknowledged() {
    let folder = Folder::new("random");
    let rounds = if full() { 1000 } else { 20 };
    let mut acknowledged = 0;
    for round in 0..rounds {
        let seen = notes(&folder.0).iter().filter(|line| line.starts_with("pair")).count();
        let mut child = command(&this(), "endless", &folder).stderr(Stdio::null()).spawn().unwrap();
        await_notes("begin", round + 1, &folder.0);
        if round % 2 == 1 {
            // However slow the machine is: half of them amid its commits.
            await_notes("pair", seen + 1, &folder.0);
        }
        pause(Duration::from_micros(round as u64 * 7919 % 30_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let notes = notes(&folder.0);
        let last = notes.iter().filter_map(|line| line.strip_prefix("pair ")).next_back();
        acknowledged = last.map_or(0, |last| number(last.as_bytes()));
        check_pairs(&folder, last.map(|last| number(last.as_bytes())));
    }
    println!("{rounds} kills, {acknowledged} commits");
    assert!(acknowledged >= rounds / 2, "{acknowledged}");
}

fn check_pairs(folder: &Folder, acknowledged: Option<usize>) {
    let found = contents(&mut open(&folder.file())).unwrap().swap_remove(0);
    let last = found.last().map(|(key, _)| number(key));
    assert!(
        acknowledged.is_none_or(|n| last >= Some(n)),
        "{last:?} is the last of {acknowledged:?}"
    );
    let Some(last) = last else { return };
    let first = last.saturating_sub(19);
    let first = if last <= 20 { 0 } else { first };
    for n in first..=last {
        let bytes = vec![n as u8; n * 997 % 20_000];
        for write in pair(n, b"") {
            let record = &found.iter().find(|(key, _)| *key == write.key).expect("a record").1;
            assert!(record.bytes == bytes, "{n}");
        }
    }
}

fn pause(time: Duration) {
    let time = time.try_into().unwrap();
    rustix::event::poll(&mut [], Some(&time)).unwrap();
}

#[test]
fn eight_processes_count_exactly() {
    let folder = Folder::new("eight");
    let children: Vec<Child> =
        (0..8).map(|_| command(&this(), "increments", &folder).spawn().unwrap()).collect();
    children.into_iter().for_each(finish);
    let sum = open(&folder.file()).get(Space::Memory, b"sum", NOW).unwrap().unwrap();
    assert_eq!(sum.bytes, b"4000");
    assert_eq!(folder.names(), ["log", "store.db"], "and the last one tidied up");
}

#[test]
fn a_fork_leaves_both_with_the_same_store() {
    let folder = Folder::new("fork");
    finish(command(&this(), "fork", &folder).spawn().unwrap());
}

/// Root may do everything: then the child is nobody, with a copy of this program.
fn as_nobody(folder: &Folder) -> Vec<String> {
    let copy = Folder::new("nobody");
    let program = copy.0.join("program");
    fs::copy(this(), &program).unwrap();
    fs::set_permissions(&copy.0, fs::Permissions::from_mode(0o755)).unwrap();
    let log = folder.0.join("log");
    fs::write(&log, "").unwrap();
    fs::set_permissions(&log, fs::Permissions::from_mode(0o666)).unwrap();
    let mut child = command(&program, "read-only", folder);
    if rustix::process::getuid().is_root() {
        child.uid(65534);
    }
    finish(child.spawn().unwrap());
    notes(&folder.0)
}

fn readable_store(name: &str, folder_mode: u32, file_mode: u32) -> Folder {
    let folder = Folder::new(name);
    done(&mut open(&folder.file()), &[put("key", "value")], Durability::Sync);
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(file_mode)).unwrap();
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(folder_mode)).unwrap();
    folder
}

#[test]
fn a_read_only_file_is_read_and_not_written() {
    let folder = readable_store("read-only", 0o777, 0o444);
    assert_eq!(as_nobody(&folder), ["commit readonly", "end"]);
}

#[test]
fn a_store_in_a_read_only_folder_is_a_clear_error() {
    let folder = readable_store("read-only", 0o555, 0o444);
    let notes = as_nobody(&folder);
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(notes, ["open readonly", "end"]);
    let denied = readable_store("denied", 0o777, 0o600);
    assert_eq!(as_nobody(&denied), ["open denied", "end"]);
}

/// A disk of 256 KB, gone in the end.
struct Disk(Folder);

impl Disk {
    fn new() -> Option<Disk> {
        let folder = Folder::new("disk");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k", "zigllms"]).arg(&folder.0);
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        if !mounted {
            println!("SKIP: a disk of 256 KB needs mount, and its permission");
        }
        mounted.then_some(Disk(folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0.0).status());
    }
}

fn fill(disk: &Disk, bytes: usize) -> PathBuf {
    let filler = disk.0.0.join("filler");
    drop(fs::write(&filler, vec![0; bytes]));
    filler
}

#[test]
fn a_full_disk_keeps_what_is_there_and_takes_more_when_there_is_room() {
    let Some(disk) = Disk::new() else { return };
    let filler = fill(&disk, 64 << 10);
    let mut store = open(&disk.0.file());
    let mut filled = 0;
    let failed = loop {
        match store.commit(&pair(filled, &[filled as u8; 3000]), Durability::Sync, NOW) {
            Ok(_) => filled += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(reason(&failed), "full", "{failed}");
    assert!(failed.message().contains("no space left"), "{failed}");
    assert!(filled > 2, "{filled}");
    assert_eq!(contents(&mut store).unwrap()[0].len(), 2 * filled);
    fs::remove_file(filler).unwrap();
    done(&mut store, &pair(filled, &[filled as u8; 3000]), Durability::Sync);
    drop(store);
    let kept = contents(&mut open(&disk.0.file())).unwrap().swap_remove(0);
    assert_eq!(kept.len(), 2 * filled + 2);
    for (n, (_, record)) in kept.iter().enumerate() {
        assert_eq!(record.bytes, [(n / 2) as u8; 3000]);
    }
}

#[test]
fn on_a_full_disk_a_store_is_opened_or_made_later() {
    let Some(disk) = Disk::new() else { return };
    let filler = fill(&disk, 512 << 10);
    let failed = Sqlite::open(&disk.0.file()).err().expect("no room");
    assert_eq!(reason(&failed), "full", "{failed}");
    assert_eq!(disk.0.names(), ["filler"], "nothing half made is left");
    fs::remove_file(filler).unwrap();
    done(&mut open(&disk.0.file()), &[put("key", "value")], Durability::Sync);
    let filler = fill(&disk, 512 << 10);
    let failed = Sqlite::open(&disk.0.file()).err().expect("no room for its index");
    assert_eq!(reason(&failed), "full", "{failed}");
    fs::remove_file(filler).unwrap();
    let found = open(&disk.0.file()).get(Space::Memory, b"key", NOW).unwrap().unwrap();
    assert_eq!(found.bytes, b"value");
}

#[test]
fn who_locks_it_for_long_is_waited_for_and_then_an_error() {
    let folder = Folder::new("busy");
    let mut store = open(&folder.file());
    done(&mut store, &[put("key", "value")], Durability::Batched);
    let other = rusqlite::Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(store.get(Space::Memory, b"key", NOW).unwrap().is_some(), "reading goes on");
    let failed = store.commit(&[put("key", "other")], Durability::Batched, NOW).unwrap_err();
    assert_eq!(reason(&failed), "busy", "{failed}");
    other.execute_batch("ROLLBACK").unwrap();
    done(&mut store, &[put("key", "other")], Durability::Batched);
}
