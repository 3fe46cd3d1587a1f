//! Runs as machines have them: asked of the store's thread, kept alive by a thread of the process.

use std::time::Duration;

use super::*;
use crate::clock::Moment;
use crate::net::testing::sleep_ms;
use crate::net::workers::{exit_child, fork};
use crate::runtime::Runtime;
use crate::step::{Operation, Outcome, Step as Next, Token};
use crate::store::{Change, Durability, Place, Policy, Space, Write};
use crate::tasks::Next as Event;

fn runtime(folder: &Folder) -> Runtime {
    let mut runtime = Runtime::default();
    let clock = runtime.clock.clone();
    runtime.store.choose(Place::Sqlite(folder.file()), &clock, Policy::default()).unwrap();
    runtime
}

fn soon(runtime: &Runtime) -> Moment {
    runtime.clock.now().after(Duration::from_secs(60))
}

/// Waits until the token is posted. Others that are meanwhile stay so.
fn posted(runtime: &mut Runtime, me: Token) {
    let (clock, limit) = (runtime.clock.clone(), soon(runtime));
    let mut others = Vec::new();
    loop {
        match runtime.tasks.next(&clock, Some(limit)).unwrap() {
            Event::Token(token) if token == me => break,
            Event::Token(token) => others.push(token),
            Event::Nothing => panic!("nobody answers"),
            _ => {}
        }
    }
    others.into_iter().for_each(|token| runtime.tasks.post(token).unwrap());
}

fn claimed(runtime: &mut Runtime, claim: Claim) -> Result<Claimed> {
    let me = runtime.tasks.token();
    let claiming = Claiming::ask(runtime, me, claim)?;
    loop {
        match claiming.take(runtime) {
            Some(claimed) => return claimed,
            None => posted(runtime, me),
        }
    }
}

fn owned(runtime: &mut Runtime, run: &str) -> (Journal, Option<Box<Recorded>>) {
    match claimed(runtime, claim(run)).unwrap() {
        Claimed::New(journal) => (journal, None),
        Claimed::Going(journal, recorded) => (journal, Some(recorded)),
        Claimed::Finished(_) => panic!("it is over"),
    }
}

fn answer<T: Send + 'static>(runtime: &mut Runtime, me: Token, asked: &Asked<T>) -> Result<T> {
    loop {
        match asked.take() {
            Some(answer) => return answer,
            None => posted(runtime, me),
        }
    }
}

/// Drives an operation that only waits.
fn drive(runtime: &mut Runtime, operation: Operation) -> Result<()> {
    let (me, mut machine) = (runtime.tasks.token(), operation.machine);
    let mut outcome = Outcome::Start;
    loop {
        match machine.step(runtime, me, std::mem::replace(&mut outcome, Outcome::Ready))? {
            Next::Done(_) => return Ok(()),
            _ => posted(runtime, me),
        }
    }
}

fn leave(runtime: &mut Runtime, journal: &Journal, over: Over) {
    let me = runtime.tasks.token();
    let leaving = journal.leaving(runtime, me, ending(over)).unwrap();
    loop {
        match leaving.take() {
            Some(left) => return left.unwrap(),
            None => posted(runtime, me),
        }
    }
}

#[test]
fn a_run_goes_on_where_it_was_left() {
    let folder = Folder::new();
    let (one, other) = (&mut runtime(&folder), &mut runtime(&folder));
    let (journal, recorded) = owned(one, "r");
    assert!(recorded.is_none());
    journal.queue(ended("a", json!(1)));
    journal.part("a").queue(ended("inner", json!(2)));
    drive(one, journal.commit()).unwrap();
    drive(one, journal.commit()).unwrap();
    let error = claimed(other, claim("r")).map(drop).unwrap_err();
    assert_eq!(reason(&error), "owned");
    drop(journal);
    let (journal, recorded) = owned(other, "r");
    let recorded = recorded.unwrap();
    assert_eq!(recorded.own.steps.len(), 1);
    let inner = recorded.part(&journal.part("a")).unwrap();
    assert_eq!(inner.in_order()[0].2.output.to_json(), json!(2));
    journal.queue(ended("b", json!(3)));
    leave(other, &journal, Over::Completed);
    let Claimed::Finished(recorded) = claimed(one, claim("r")).unwrap() else {
        panic!("it runs again");
    };
    assert_eq!(recorded.ending.unwrap().result.to_json(), json!({"output": 7}));
}

#[test]
fn steps_that_end_later_come_later() {
    let folder = Folder::new();
    let runtime = &mut runtime(&folder);
    for path in ["z", "y", "x"] {
        let (journal, _) = owned(runtime, "r");
        journal.part("p").queue(ended(path, json!(1)));
        journal.queue(ended(path, json!(1)));
        leave(runtime, &journal, Over::Paused);
    }
    let (_, recorded) = owned(runtime, "r");
    let recorded = recorded.unwrap();
    let order: Vec<_> = recorded.own.in_order().iter().map(|step| step.0.to_owned()).collect();
    assert_eq!(order, ["z", "y", "x"]);
}

#[test]
fn no_store_and_no_id_are_refused() {
    let mut without = Runtime::default();
    assert_eq!(claimed(&mut without, claim("r")).map(drop).unwrap_err().code(), Code::InvalidState);
    let folder = Folder::new();
    let error = claimed(&mut runtime(&folder), claim("a\nb")).map(drop).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().starts_with("options.run_id: expected 1 to 200 bytes"), "{error}");
}

#[test]
fn others_are_heard_and_the_lease_is_renewed() {
    let folder = Folder::new();
    let (one, other) = (&mut runtime(&folder), &mut runtime(&folder));
    let (journal, _) = owned(one, "r");
    let keeper = one.tasks.token();
    let mut machine = journal.keeper(1).machine;
    assert!(matches!(machine.step(one, keeper, Outcome::Start), Ok(Next::Wait(None))));
    let me = other.tasks.token();
    let asked = wish(other, me, "r", Wish::Pause).unwrap();
    assert_eq!(answer(other, me, &asked).unwrap(), Wished::Told);
    posted(one, keeper);
    // There is no such execution here: that it was looked for says that the wish was heard.
    assert!(machine.step(one, keeper, Outcome::Ready).is_err());
    let store = &mut *sqlite(&folder)();
    let until = |store: &mut dyn Store| {
        let record = store.get(Space::Journal, &layout::lease("r"), clock().unix_ms()).unwrap();
        record.and_then(|record| record.expires_at).unwrap()
    };
    let before = until(store);
    let renewed = (0..100).any(|_| {
        sleep_ms(100);
        until(store) > before
    });
    assert!(renewed);
    let mut machine = journal.keeper(1).machine;
    assert!(matches!(machine.step(one, keeper, Outcome::Start), Ok(Next::Wait(None))));
    leave(one, &journal, Over::Paused);
    drop(journal);
    posted(one, keeper);
    assert!(matches!(machine.step(one, keeper, Outcome::Ready), Ok(Next::Done(_))));
}

#[test]
fn one_who_lost_the_run_is_told() {
    let folder = Folder::new();
    let runtime = &mut runtime(&folder);
    let (journal, _) = owned(runtime, "r");
    let store = &mut *sqlite(&folder)();
    let gone = layout::write(layout::lease("r"), Change::Delete);
    store.commit(&[gone], Durability::Sync, clock().unix_ms()).unwrap();
    take(store, &claim("r"), &elsewhere()).unwrap();
    journal.queue(ended("a", json!(1)));
    let error = drive(runtime, journal.commit()).unwrap_err();
    assert_eq!((error.code(), reason(&error).as_str()), (Code::InvalidState, "lease_lost"));
    assert!(journal.lost().is_some());
    drop(journal);
    let me = runtime.tasks.token();
    let asked = runs(runtime, me, Filter::default()).unwrap();
    assert!(
        answer(runtime, me, &asked).unwrap().heads[0].is_owned,
        "what is another's is not released"
    );
}

/// What a step put into memory is in the store before the end of the step is.
#[test]
fn memory_comes_before_the_journal() {
    let folder = Folder::new();
    let runtime = &mut runtime(&folder);
    let (journal, _) = owned(runtime, "r");
    let change = Change::Put { bytes: b"v".to_vec(), expires_at: None };
    let write = Write { space: Space::Memory, key: b"k".to_vec(), change, only_if: None };
    let never = Policy { timeout_ms: 3_600_000, ..Policy::default() };
    runtime.backing().unwrap().queue(vec![write], never).unwrap();
    journal.queue(ended("a", json!(1)));
    drive(runtime, journal.commit()).unwrap();
    assert!(sqlite(&folder)().get(Space::Memory, b"k", 0).unwrap().is_some());
}

#[test]
fn what_is_queued_together_is_one_commit() {
    let folder = Folder::new();
    let runtime = &mut runtime(&folder);
    let (journal, _) = owned(runtime, "r");
    let mut begun = Vec::new();
    for n in 0..50 {
        journal.queue(ended(&format!("s{n}"), json!(n)));
        let (me, mut machine) = (runtime.tasks.token(), journal.commit().machine);
        let done = matches!(machine.step(runtime, me, Outcome::Start).unwrap(), Next::Done(_));
        begun.extend((!done).then_some((me, machine)));
    }
    for (me, mut machine) in begun {
        while !matches!(machine.step(runtime, me, Outcome::Ready).unwrap(), Next::Done(_)) {
            sleep_ms(1);
        }
    }
    let me = runtime.tasks.token();
    let asked = asking::load(runtime, me, "r").unwrap();
    assert_eq!(answer(runtime, me, &asked).unwrap().unwrap().own.steps.len(), 50);
}

/// A forked child has inherited the words, and not the run.
#[test]
fn a_forked_child_has_no_run() {
    const INSIDE: &str = "ZIGLLMS_TEST_FORK";
    if std::env::var_os(INSIDE).is_none() {
        let name = "workflow::journal::tests::machines::a_forked_child_has_no_run";
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let status = command.args(["--exact", name]).env(INSIDE, "1").status().unwrap();
        return assert!(status.success());
    }
    let folder = Folder::new();
    let runtime = &mut runtime(&folder);
    let (journal, _) = owned(runtime, "r");
    let Some(child) = fork() else {
        let is_lost = journal.lost().is_some();
        drop(journal);
        exit_child(if is_lost { 0 } else { 1 })
    };
    let waited = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty());
    assert_eq!(waited.unwrap().unwrap().1.exit_status(), Some(0));
    journal.queue(ended("a", json!(1)));
    drive(runtime, journal.commit()).unwrap();
    assert!(read::load(&mut *sqlite(&folder)(), "r", &clock()).unwrap().unwrap().head.is_owned);
}

/// Printed, not judged: `cargo test --release -- --ignored --nocapture steps_per_second`.
#[test]
#[ignore = "a measurement"]
fn steps_per_second() {
    let folder = Folder::new();
    let runtime = &mut runtime(&folder);
    let (journal, _) = owned(runtime, "r");
    let (count, begin) = (2000, runtime.clock.now());
    for n in 0..count {
        journal.queue(ended(&format!("step_{n}"), json!({"text": "x".repeat(200)})));
        journal.queue(started(&format!("step_{}", n + 1)));
        journal.queue(Entry::Boundary(Boundary::default()));
        drive(runtime, journal.commit()).unwrap();
    }
    let ms = runtime.clock.now().ms_since(begin);
    println!("{:.0} steps a second", f64::from(count) * 1e3 / ms);
}
