//! One store, seen through a fake engine that counts, fails and stalls.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::depot::Depot;
use super::*;
use crate::error::{Code, Error};
use crate::net::{Notifier, Waker, lock};
use crate::store::memory::Memory;
use crate::store::{
    Change, Committed, Durability, Expected, Range, Record, Space, Store, UnixMs, Write,
};

mod processes;

const LONG: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Plan {
    /// How many writes each successful commit had, and how durable it was.
    commits: Vec<(usize, Durability)>,
    syncs: usize,
    opened: usize,
    dropped: usize,
    /// Every call fails with this reason.
    broken: Option<&'static str>,
    /// Commits with this key fail.
    bad_key: Option<Vec<u8>>,
    /// Commits wait while this is set.
    stalled: bool,
    tried: usize,
}

#[derive(Clone, Default)]
struct Fake {
    plan: Arc<(Mutex<Plan>, Condvar)>,
    data: Memory,
}

struct Engine(Fake);

impl Drop for Engine {
    fn drop(&mut self) {
        self.0.set(|plan| plan.dropped += 1);
    }
}

fn broken(reason: &str) -> Error {
    let details = serde_json::json!({ "reason": reason });
    Error::new(Code::IoError, format!("broken: {reason}")).with(|f| f.details = Some(details))
}

impl Fake {
    fn set<T>(&self, change: impl FnOnce(&mut Plan) -> T) -> T {
        let result = change(&mut lock(&self.plan.0));
        self.plan.1.notify_all();
        result
    }

    fn wait_for(&self, what: impl Fn(&Plan) -> bool) {
        let waited = self.plan.1.wait_timeout_while(lock(&self.plan.0), LONG, |plan| !what(plan));
        assert!(!waited.unwrap().1.timed_out(), "it did not come to that");
    }

    fn sizes(&self) -> Vec<usize> {
        self.set(|plan| plan.commits.iter().map(|(size, _)| *size).collect())
    }

    fn usable(&self) -> Result<()> {
        let plan = lock(&self.plan.0);
        let plan = self.plan.1.wait_while(plan, |plan| plan.stalled).unwrap();
        plan.broken.map_or(Ok(()), |reason| Err(broken(reason)))
    }

    fn shared(&self) -> Shared {
        let fake = self.clone();
        let open: depot::Open = Box::new(move || {
            fake.usable()?;
            fake.set(|plan| plan.opened += 1);
            Ok(Box::new(Engine(fake.clone())) as Box<dyn Store>)
        });
        let depot = Depot::new(Place::Sqlite("/fake.db".into()), open);
        depot.state().users += 1;
        Shared::over(depot, Clock::default())
    }
}

impl Store for Engine {
    fn get(&mut self, space: Space, key: &[u8], now: UnixMs) -> Result<Option<Record>> {
        self.0.usable()?;
        self.0.data.get(space, key, now)
    }

    fn scan(&mut self, range: &Range, now: UnixMs) -> Result<Vec<(Vec<u8>, Record)>> {
        self.0.usable()?;
        self.0.data.scan(range, now)
    }

    fn commit(&mut self, writes: &[Write], how: Durability, now: UnixMs) -> Result<Committed> {
        self.0.set(|plan| plan.tried += 1);
        self.0.usable()?;
        let bad = self.0.set(|plan| plan.bad_key.clone());
        if writes.iter().any(|write| Some(&write.key) == bad.as_ref()) {
            return Err(broken("too_big"));
        }
        let committed = self.0.data.commit(writes, how, now)?;
        self.0.set(|plan| plan.commits.push((writes.len(), how)));
        Ok(committed)
    }

    fn sync(&mut self) -> Result<()> {
        self.0.usable()?;
        self.0.set(|plan| plan.syncs += 1);
        Ok(())
    }
}

fn put(key: &str, value: &str) -> Write {
    let change = Change::Put { bytes: value.into(), expires_at: None };
    Write { space: Space::Memory, key: key.into(), change, only_if: None }
}

fn changed(key: &str, change: Change) -> Write {
    Write { change, ..put(key, "") }
}

const PATIENT: Policy = Policy { enabled: true, max_batch_size: 100, timeout_ms: 60_000 };
const QUICK: Policy = Policy { timeout_ms: 5, ..PATIENT };

fn ask(shared: &Shared, question: Question) -> Result<Answer> {
    let pending = shared.depot().ask(Ask::Question(question), &Clock::default(), None);
    pending.wait(LONG).expect("an answer")
}

fn get(shared: &Shared, key: &str) -> Option<String> {
    let question = Question::Get { space: Space::Memory, keys: vec![key.into()] };
    match ask(shared, question).unwrap() {
        Answer::Records(records) => records[0].clone().map(|r| String::from_utf8(r.bytes).unwrap()),
        other => panic!("{other:?}"),
    }
}

fn scan(shared: &Shared, after: Option<&str>, limit: usize) -> Vec<String> {
    let after = after.map(|key| key.as_bytes().to_vec());
    let range = Range { space: Space::Memory, prefix: b"k".to_vec(), after, limit };
    match ask(shared, Question::Scan(range)).unwrap() {
        Answer::Page(page) => page
            .into_iter()
            .map(|(key, record)| {
                let text = |bytes| String::from_utf8(bytes).unwrap();
                format!("{}={}", text(key), text(record.bytes))
            })
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn commit(shared: &Shared, write: Write, durability: Durability) -> Result<Committed> {
    match ask(shared, Question::Commit { writes: vec![write], durability })? {
        Answer::Committed(committed) => Ok(committed),
        other => panic!("{other:?}"),
    }
}

fn flush(shared: &Shared) -> Result<u64> {
    shared.flush_blocking(LONG)
}

fn increment(shared: &Shared, key: &str) -> Result<Answer> {
    let change = |old: Option<&Record>| {
        let old = old.map_or(0, |r| String::from_utf8_lossy(&r.bytes).parse::<u64>().unwrap());
        Ok(Change::Put { bytes: (old + 1).to_string().into_bytes(), expires_at: None })
    };
    let change = Box::new(change);
    ask(shared, Question::Update { space: Space::Memory, key: key.into(), change })
}

#[test]
fn nothing_is_opened_before_the_first_need() {
    let fake = Fake::default();
    let shared = fake.shared();
    assert_eq!(flush(&shared).unwrap(), 0);
    assert_eq!(fake.set(|plan| (plan.opened, plan.syncs)), (0, 0));
    shared.queue(vec![put("k", "1")], PATIENT).unwrap();
    assert_eq!(fake.set(|plan| plan.opened), 0);
    assert_eq!(flush(&shared).unwrap(), 1);
    assert_eq!(fake.set(|plan| plan.opened), 1);
}

#[test]
fn writes_are_committed_together_when_enough_are_queued() {
    let fake = Fake::default();
    let shared = fake.shared();
    for i in 0..250 {
        shared.queue(vec![put(&format!("k{i}"), "v")], PATIENT).unwrap();
        assert_eq!(get(&shared, &format!("k{i}")).as_deref(), Some("v"));
        if i % 100 == 99 {
            fake.wait_for(|plan| plan.commits.len() == i / 100 + 1);
        }
    }
    assert_eq!(flush(&shared).unwrap(), 50);
    assert_eq!(fake.sizes(), [100, 100, 50]);
    let counters = shared.counters();
    assert_eq!((counters.full, counters.timeout, counters.barrier, counters.manual), (2, 0, 1, 0));
    assert_eq!(
        (counters.calls, counters.batches, counters.queued, counters.errors),
        (250, 3, 0, 0)
    );
}

#[test]
fn the_oldest_write_is_committed_in_time_without_another_call() {
    let fake = Fake::default();
    let shared = fake.shared();
    shared.queue(vec![put("k", "1"), put("k2", "2")], QUICK).unwrap();
    fake.wait_for(|plan| plan.commits.len() == 1);
    assert_eq!(fake.sizes(), [2]);
    while shared.queued() > 0 {
        std::thread::yield_now();
    }
    assert_eq!(shared.counters().timeout, 1);
}

#[test]
fn without_batching_each_write_is_a_commit() {
    let fake = Fake::default();
    let shared = fake.shared();
    let each = Policy { enabled: false, ..PATIENT };
    shared.queue((0..5).map(|i| put(&format!("k{i}"), "v")).collect(), each).unwrap();
    fake.wait_for(|plan| plan.commits.len() == 5);
    assert_eq!(fake.sizes(), [1, 1, 1, 1, 1]);
}

#[test]
fn reads_see_what_is_queued_over_what_is_stored() {
    let fake = Fake::default();
    let shared = fake.shared();
    shared.queue((0..6).map(|i| put(&format!("k{i}"), "old")).collect(), PATIENT).unwrap();
    flush(&shared).unwrap();
    let expired = Change::Put { bytes: b"x".to_vec(), expires_at: Some(1) };
    let writes = vec![
        put("k0", "new"),
        changed("k1", Change::Delete),
        put("k2a", "new"),
        changed("k3", Change::DeleteAll),
        put("k3b", "new"),
        changed("k5", expired),
    ];
    shared.queue(writes, PATIENT).unwrap();
    assert_eq!(get(&shared, "k0").as_deref(), Some("new"));
    for gone in ["k1", "k3", "k5", "k9"] {
        assert_eq!(get(&shared, gone), None, "{gone}");
    }
    let all = ["k0=new", "k2=old", "k2a=new", "k3b=new", "k4=old"];
    assert_eq!(scan(&shared, None, 100), all);
    for limit in 1..7 {
        let (mut pages, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = scan(&shared, after.as_deref(), limit);
            let done = page.len() < limit;
            after = page.last().map(|last| last.split('=').next().unwrap().to_owned());
            pages.extend(page);
            if done {
                break;
            }
        }
        assert_eq!(pages, all, "pages of {limit}");
    }
    flush(&shared).unwrap();
    assert_eq!(scan(&shared, None, 100), all, "and so it is once it is committed");
}

#[test]
fn conditions_are_checked_after_what_was_queued_before() {
    let fake = Fake::default();
    let shared = fake.shared();
    shared.queue(vec![put("k", "1")], PATIENT).unwrap();
    let absent = Write { only_if: Some(Expected::Absent), ..put("k", "2") };
    let committed = commit(&shared, absent.clone(), Durability::Batched).unwrap();
    assert_eq!(committed, Committed::Conflict(0));
    shared.queue(vec![changed("k", Change::Delete)], PATIENT).unwrap();
    let committed = commit(&shared, absent, Durability::Batched).unwrap();
    assert!(matches!(committed, Committed::Done(_)), "{committed:?}");
    assert_eq!(get(&shared, "k").as_deref(), Some("2"));
}

#[test]
fn a_durable_commit_takes_what_was_queued_along() {
    let fake = Fake::default();
    let shared = fake.shared();
    shared.queue(vec![put("k1", "1"), put("k2", "2")], PATIENT).unwrap();
    commit(&shared, put("k3", "3"), Durability::Sync).unwrap();
    let commits = fake.set(|plan| plan.commits.clone());
    assert_eq!(commits, [(2, Durability::Batched), (1, Durability::Sync)]);
    flush(&shared).unwrap();
    assert_eq!(fake.set(|plan| plan.syncs), 0, "everything is durable already");
    shared.queue(vec![put("k4", "4")], PATIENT).unwrap();
    flush(&shared).unwrap();
    assert_eq!(fake.set(|plan| plan.syncs), 1);
}

#[test]
fn updates_from_many_threads_add_up() {
    let fake = Fake::default();
    let depot = fake.shared().depot();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                depot.state().users += 1;
                let shared = Shared::over(depot.clone(), Clock::default());
                for _ in 0..100 {
                    increment(&shared, "k").unwrap();
                }
            });
        }
    });
    assert_eq!(fake.data.clone().get(Space::Memory, b"k", 0).unwrap().unwrap().bytes, b"400");
}

/// Somebody else's handle on the same records.
#[test]
fn an_update_is_made_anew_where_another_process_came_between() {
    let fake = Fake::default();
    let (shared, mut other) = (fake.shared(), fake.data.clone());
    let mut calls = 0;
    let (tell, hear) = std::sync::mpsc::channel();
    let change = move |old: Option<&Record>| {
        calls += 1;
        if calls < 4 {
            other.commit(&[put("k", &calls.to_string())], Durability::Batched, 0)?;
        }
        let seen = old.map(|old| String::from_utf8(old.bytes.clone()).unwrap());
        tell.send(seen.clone()).unwrap();
        Ok(Change::Put { bytes: format!("{}!", seen.unwrap_or_default()).into(), expires_at: None })
    };
    let question =
        Question::Update { space: Space::Memory, key: b"k".to_vec(), change: Box::new(change) };
    let Answer::Updated(Some(record)) = ask(&shared, question).unwrap() else { panic!() };
    assert_eq!(record.bytes, b"3!");
    assert_eq!(get(&shared, "k").as_deref(), Some("3!"));
    let seen: Vec<_> = hear.try_iter().collect();
    assert_eq!(seen, [None, Some("1".into()), Some("2".into()), Some("3".into())]);
}

#[test]
fn what_fails_stays_queued_and_is_told_by_the_next_barrier() {
    let fake = Fake::default();
    let shared = fake.shared();
    shared.queue(vec![put("k0", "0")], QUICK).unwrap();
    flush(&shared).unwrap();
    fake.set(|plan| plan.broken = Some("full"));
    shared.queue(vec![put("k1", "1"), put("k2", "2"), put("k1", "3")], QUICK).unwrap();
    while shared.counters().errors == 0 {
        std::thread::yield_now();
    }
    assert_eq!((shared.queued(), get(&shared, "k1").as_deref()), (3, Some("3")));
    let error = flush(&shared).unwrap_err();
    assert_eq!(error.code(), Code::IoError);
    assert!(error.message().starts_with("3 queued writes "), "{error}");
    assert_eq!(error.fields().details.as_ref().unwrap()["reason"], "full");
    assert!(commit(&shared, put("k4", "4"), Durability::Sync).is_err());
    let failures = shared.take_failures();
    assert_eq!(failures[0].fields().details.as_ref().unwrap()["reason"], "full");
    assert!(shared.take_failures().is_empty());
    fake.set(|plan| plan.broken = None);
    assert_eq!(flush(&shared).unwrap(), 3);
    assert_eq!(scan(&shared, None, 9), ["k0=0", "k1=3", "k2=2"]);
}

#[test]
fn what_failed_is_tried_again_without_a_further_call() {
    let fake = Fake::default();
    let shared = fake.shared();
    fake.set(|plan| plan.broken = Some("full"));
    shared.queue(vec![put("k1", "1")], QUICK).unwrap();
    while shared.counters().errors == 0 {
        std::thread::yield_now();
    }
    fake.set(|plan| plan.broken = None);
    fake.wait_for(|plan| plan.commits.len() == 1);
}

#[test]
fn a_store_that_fails_is_not_tried_at_every_write() {
    let fake = Fake::default();
    let shared = fake.shared();
    fake.set(|plan| plan.broken = Some("busy"));
    let eager = Policy { max_batch_size: 1, ..PATIENT };
    for i in 0..200 {
        shared.queue(vec![put(&format!("k{i}"), "v")], eager).unwrap();
    }
    assert!(flush(&shared).is_err());
    let errors = shared.counters().errors;
    assert!(errors <= 5, "{errors} attempts");
}

#[test]
fn one_bad_write_does_not_hold_up_the_others() {
    let fake = Fake::default();
    let shared = fake.shared();
    fake.set(|plan| plan.bad_key = Some(b"k13".to_vec()));
    let writes = (0..50).map(|i| put(&format!("k{i}"), "v")).collect();
    shared.queue(writes, PATIENT).unwrap();
    shared.queue(vec![put("k13", "later"), changed("k1", Change::DeleteAll)], PATIENT).unwrap();
    let error = flush(&shared).unwrap_err();
    assert!(error.message().starts_with("3 queued writes "), "{error}");
    let mut stored = fake.data.clone();
    let mut there = |key: &str| stored.get(Space::Memory, key.as_bytes(), 0).unwrap().is_some();
    assert!((0..50).all(|i| there(&format!("k{i}")) != (i == 13)));
    // What comes after it, on keys of its own, goes on; on its key it waits.
    assert!(matches!(commit(&shared, put("x", "1"), Durability::Batched), Ok(Committed::Done(_))));
    assert!(commit(&shared, put("k13", "2"), Durability::Batched).is_err());
    assert_eq!(get(&shared, "k13"), None, "a DeleteAll was queued after it");
    fake.set(|plan| plan.bad_key = None);
    assert_eq!(flush(&shared).unwrap(), 3);
    assert_eq!(scan(&shared, None, 100).len(), 50 - 11);
}

#[test]
fn the_queue_is_bounded() {
    let fake = Fake::default();
    let shared = fake.shared();
    let big = "x".repeat(9 << 20);
    fake.set(|plan| plan.stalled = true);
    for i in 0..8 {
        assert!(shared.has_room());
        shared.queue(vec![put(&format!("k{i}"), &big)], PATIENT).unwrap();
    }
    assert!(!shared.has_room());
    let (one_more, freed) = (put("k8", "v"), fake.clone());
    let stalled = std::thread::spawn(move || {
        crate::net::testing::sleep_ms(30);
        freed.set(|plan| plan.stalled = false);
    });
    // Nobody else asks for a commit: the lack of room does.
    shared.queue(vec![one_more], PATIENT).unwrap();
    stalled.join().unwrap();
    assert!(shared.has_room());
    fake.set(|plan| plan.broken = Some("full"));
    let refused = (0..9).find_map(|_| shared.queue(vec![put("k", &big)], PATIENT).err());
    let error = refused.expect("a queue that ends somewhere");
    assert_eq!(error.fields().details.as_ref().unwrap()["reason"], "queue_full");
    fake.set(|plan| plan.broken = None);
}

#[test]
fn the_last_user_flushes_and_closes() {
    let fake = Fake::default();
    let shared = fake.shared();
    let again = shared.clone();
    shared.queue(vec![put("k1", "1")], PATIENT).unwrap();
    drop(shared);
    assert_eq!(fake.sizes().len(), 0, "somebody still uses it");
    drop(again);
    assert_eq!(fake.sizes(), [1]);
    assert_eq!(fake.set(|plan| (plan.syncs, plan.dropped)), (1, 1));
}

#[test]
fn a_cancelled_wait_takes_nothing_back() {
    let fake = Fake::default();
    let shared = fake.shared();
    let notifier = Notifier::new().unwrap();
    let commit = Question::Commit { writes: vec![put("k", "1")], durability: Durability::Sync };
    drop(shared.ask(commit, Waker::new(&notifier, 7)));
    fake.wait_for(|plan| plan.commits.len() == 1);
    notifier.wait(Some(LONG));
    assert_eq!(notifier.take(), Some(7));
}

#[test]
fn a_defect_in_an_engine_is_an_error_and_no_hang() {
    let fake = Fake::default();
    let shared = fake.shared();
    let change = |_: Option<&Record>| -> Result<Change> { panic!("here") };
    let change: Changing = Box::new(change);
    let error = ask(&shared, Question::Update { space: Space::Memory, key: b"k".to_vec(), change });
    assert_eq!(error.unwrap_err().code(), Code::Internal);
    assert_eq!(get(&shared, "k"), None);
}

#[test]
fn in_memory_everything_happens_at_once() {
    let shared = Shared::of(&Place::Memory, Clock::default());
    shared.queue(vec![put("in memory", "1")], PATIENT).unwrap();
    assert_eq!((shared.queued(), shared.counters()), (0, Counters::default()));
    let depot = shared.depot();
    let question = Question::Get { space: Space::Memory, keys: vec![b"in memory".to_vec()] };
    let pending = depot.ask(Ask::Question(question), &Clock::default(), None);
    assert!(matches!(pending.take(), Some(Ok(Answer::Records(found))) if found[0].is_some()));
    drop((shared, depot));
    let later = Shared::of(&Place::Memory, Clock::default());
    assert_eq!(get(&later, "in memory").as_deref(), Some("1"), "as long as the process lives");
}
