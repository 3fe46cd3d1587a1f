//! Recorders without Lua: what they hold, and machines stepped by hand.

use std::path::PathBuf;

use super::*;
use crate::config::Config;
use crate::error::Result;
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Ready, Step};
use crate::testing::Folder;
use crate::value::{Data, Slots, Tape, json};

fn plan(pattern: &str) -> Plan {
    Plan {
        name: String::new(),
        pattern: pattern.to_owned(),
        duration_ms: None,
        max_events: 10_000,
        file: None,
        store: false,
    }
}

fn tape(text: &str) -> Tape {
    let mut tape = Tape::default();
    json::parse(text.as_bytes(), &mut tape).unwrap();
    tape
}

/// A runtime that is driven by hand.
#[derive(Default)]
struct Case {
    runtime: Runtime,
    slots: Slots,
}

impl Case {
    fn start(&mut self, plan: Plan) -> String {
        let ready = start(&mut self.runtime, plan, Default::default()).unwrap();
        match self.finish(ready).unwrap() {
            Data::Text(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn emit(&mut self, name: &str, n: usize) -> Result<()> {
        let event =
            format!(r#"{{"id":"event_{n}","type":"{name}","timestamp":{n},"data":{{"n":{n}}}}}"#);
        self.runtime.record_event(tape(&event).root().unwrap())
    }

    fn finish(&mut self, ready: Ready) -> Result<Data> {
        match ready {
            Ready::Now(data) => Ok(data),
            Ready::Waits(start) => self.drive(start.operation, |_| {}),
        }
    }

    /// Steps a machine to its end; what it calls with goes to `called`.
    fn drive(&mut self, operation: Operation, mut called: impl FnMut(&Data)) -> Result<Data> {
        let token = self.runtime.tasks.start(operation, 0, false);
        let mut outcome = Outcome::Start;
        loop {
            let running = self.runtime.tasks.get_mut(token).unwrap();
            let mut machine: Box<dyn Machine> = running.machine.take().unwrap();
            let step = machine.step(&mut self.runtime, token, outcome);
            self.runtime.tasks.get_mut(token).unwrap().machine = Some(machine);
            outcome = match step? {
                Step::Done(output) => return Ok(Output::into_data(output)),
                Step::Wait(until) => {
                    let clock = self.runtime.clock.clone();
                    let limit = until.unwrap_or_else(|| clock.now().after_ms(5000));
                    let _ = self.runtime.tasks.next(&clock, Some(limit));
                    Outcome::Ready
                }
                Step::Call(call) => {
                    called(&call.argument);
                    Outcome::Returned(crate::step::Returned {
                        value: None,
                        text: Ok(String::new()),
                        is_text: false,
                        refusal: None,
                        document: None,
                    })
                }
                _ => panic!("an unknown step"),
            };
        }
    }

    /// The numbers of what is told, and what the call ends with.
    fn replay(&mut self, what: &str) -> Result<Vec<i64>> {
        let replaying = Replaying {
            what: what.to_owned(),
            path: absolute(what, "path").unwrap(),
            criteria: Criteria::default(),
            callback: Some(self.slots.take()),
            limit: u64::MAX,
            speed: None,
            deadline: None,
        };
        let mut told = Vec::new();
        let operation = Replay::operation(replaying);
        self.drive(operation, |event| told.push(number(event)))?;
        Ok(told)
    }

    fn query(&mut self, recorder: Option<&str>) -> Result<Vec<i64>> {
        let all = Criteria::default();
        let ready = query(&mut self.runtime, recorder, all, usize::MAX, Default::default())?;
        let Data::List(events) = self.finish(ready)? else { panic!("no list") };
        Ok(events.iter().map(number).collect())
    }

    fn clear(&mut self, pattern: Option<&str>) -> Data {
        let pattern = pattern.map(|text| Pattern::parse(text).unwrap());
        let widened = Widened::default();
        let ready = Clear::ready(&mut self.runtime, None, pattern, widened, Default::default());
        self.finish(ready.unwrap()).unwrap()
    }

    fn without_batches(&mut self) {
        self.runtime.config.batch.policy.enabled = false;
    }

    fn store(&mut self, path: PathBuf) {
        let (place, policy) = (crate::store::Place::Sqlite(path), self.runtime.config.batch.policy);
        self.runtime.store.choose(place, &self.runtime.clock, policy).unwrap();
    }
}

fn number(event: &Data) -> i64 {
    let Data::Document(event) = event else { panic!("no event") };
    event.value().unwrap().get("data").unwrap().get("n").unwrap().as_i64().unwrap()
}

fn count(data: &Data) -> i64 {
    match data {
        Data::Many(results) => match results.as_slice() {
            [Data::Bool(true), Data::Int(count)] => *count,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_recorder_keeps_the_latest_of_what_it_hears_until_it_is_stopped() {
    let mut case = Case::default();
    let id = case.start(Plan { max_events: 3, ..plan("a.*") });
    assert_eq!(id, "rec_1");
    assert!(case.runtime.events.recorders.hears("a.x"));
    assert!(!case.runtime.events.recorders.hears("b"));
    for n in 1..=5 {
        case.emit("a.x", n).unwrap();
        case.emit("b", n).unwrap();
    }
    assert_eq!(case.query(Some(&id)).unwrap(), [3, 4, 5]);
    assert!(case.runtime.events.unsubscribe(&id) && !case.runtime.events.unsubscribe(&id));
    case.emit("a.x", 6).unwrap();
    assert_eq!(case.query(None).unwrap(), [3, 4, 5], "what it has stays");
    assert_eq!(count(&case.clear(Some("a.*"))), 3);
    assert_eq!(case.query(Some(&id)).unwrap_err().code(), crate::error::Code::NotFound);
}

#[test]
fn an_event_that_two_recorders_have_is_found_once() {
    let mut case = Case::default();
    case.start(plan("*"));
    case.start(plan("a"));
    case.emit("a", 1).unwrap();
    case.emit("b", 2).unwrap();
    assert_eq!(case.query(None).unwrap(), [1, 2]);
    assert_eq!(case.query(Some("rec_2")).unwrap(), [1]);
    assert_eq!(count(&case.clear(None)), 2);
    case.emit("a", 3).unwrap();
    assert_eq!(case.query(None).unwrap(), [3], "they go on");
}

#[test]
fn a_recorder_ends_by_the_clock() {
    let mut case = Case::default();
    let id = case.start(Plan { duration_ms: Some(5.0), ..plan("*") });
    case.emit("a", 1).unwrap();
    std::thread::park_timeout(std::time::Duration::from_millis(20));
    case.emit("a", 2).unwrap();
    assert_eq!(case.query(Some(&id)).unwrap(), [1]);
    assert!(!case.runtime.events.recorders.hears("a"));
}

#[test]
fn what_was_replayed_is_not_recorded() {
    let mut case = Case::default();
    case.start(plan("*"));
    let event = tape(r#"{"type":"a","replayed":true,"data":{"n":1}}"#);
    case.runtime.record_event(event.root().unwrap()).unwrap();
    assert!(case.query(None).unwrap().is_empty());
}

#[test]
fn a_file_is_replayed_by_another_one_and_a_torn_end_is_passed_over() {
    let folder = Folder::new();
    let path = folder.path("events.jsonl");
    let mut case = Case::default();
    let id = case.start(Plan { file: Some(path.clone()), ..plan("*") });
    for n in 1..=1000 {
        case.emit("a", n).unwrap();
    }
    let all: Vec<i64> = (1..=1000).collect();
    assert_eq!(case.replay(path.to_str().unwrap()).unwrap(), all, "what is queued comes first");
    assert_eq!(case.replay(&id).unwrap(), all);
    case.runtime.events.unsubscribe(&id);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 1000);
    std::fs::write(&path, &text[..text.len() - 5]).unwrap();
    let mut other = Case::default();
    assert_eq!(other.replay(path.to_str().unwrap()).unwrap(), all[..999]);
    other.without_batches();
    other.start(Plan { file: Some(path.clone()), ..plan("*") });
    other.emit("a", 7).unwrap();
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written.ends_with("\"data\":{\"n\":7}}\n") && written.lines().count() == 1000);
}

#[test]
fn a_broken_line_is_an_error_with_its_number_and_what_is_missing_too() {
    let folder = Folder::new();
    let path = folder.path("events.jsonl");
    std::fs::write(&path, "{\"type\":\"a\",\"data\":{\"n\":1}}\n\nnonsense\n{}\n").unwrap();
    let mut case = Case::default();
    let error = case.replay(path.to_str().unwrap()).unwrap_err();
    assert_eq!(error.code(), crate::error::Code::ParseFailed);
    assert_eq!(error.fields().details.clone().unwrap()["line"], 3, "{error}");
    let missing = folder.path("none.jsonl");
    let error = case.replay(missing.to_str().unwrap()).unwrap_err();
    assert_eq!(error.code(), crate::error::Code::IoError);
    assert_eq!(case.replay("rec_9").unwrap_err().code(), crate::error::Code::NotFound);
}

#[test]
fn a_log_in_the_store_is_found_by_others_and_keeps_the_latest() {
    let folder = Folder::new();
    let (mut case, mut other) = (Case::default(), Case::default());
    case.store(folder.path("store.db"));
    other.store(folder.path("store.db"));
    let logged = || Plan { name: "log".into(), store: true, max_events: 700, ..plan("*") };
    case.start(logged());
    for n in 1..=600 {
        case.emit("a", n).unwrap();
    }
    assert_eq!(other.replay("log").unwrap(), (1..=600).collect::<Vec<_>>());
    assert_eq!(other.query(None).unwrap(), [0; 0], "it is none of its own");
    other.start(logged());
    for n in 601..=1000 {
        other.emit("a", n).unwrap();
    }
    assert_eq!(case.query(Some("log")).unwrap(), (301..=1000).collect::<Vec<_>>());
    assert_eq!(case.query(Some("none")).unwrap_err().code(), crate::error::Code::NotFound);
    assert_eq!(count(&case.clear(None)), 700);
    assert!(other.query(Some("log")).unwrap().is_empty());
}

#[test]
fn the_configuration_of_batches_is_obeyed() {
    let folder = Folder::new();
    let path = folder.path("events.jsonl");
    let mut case = Case::default();
    assert!(Config::default().batch.policy.enabled);
    case.runtime.config.batch.policy.timeout_ms = 3_600_000;
    case.start(Plan { file: Some(path.clone()), ..plan("*") });
    case.emit("a", 1).unwrap();
    assert_eq!(std::fs::read(&path).unwrap().len(), 0, "it is queued");
    case.without_batches();
    case.emit("a", 2).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
}
