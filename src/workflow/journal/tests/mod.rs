//! On every engine, by several owners, and after the end of processes.

mod damage;
mod fights;
mod kept;
mod leases;
mod machines;
mod processes;
mod runs;

use std::sync::Arc;

use serde_json::{Value, json};

use super::claim::Taken;
use super::held::Held;
use super::*;
use crate::clock::Clock;
use crate::error::{Code, Error, Result};
use crate::store::Store;
use crate::testing::Folder;
use crate::workflow::execution::How;

/// How a store is opened, once more each time.
type Place = Box<dyn Fn() -> Box<dyn Store>>;

/// A test for each engine there is.
macro_rules! on_every_engine {
    ($($rule:ident)*) => {
        mod in_memory {
            $(#[test]
            fn $rule() {
                super::$rule(&super::super::memory());
            })*
        }
        mod in_sqlite {
            $(#[test]
            fn $rule() {
                let folder = crate::testing::Folder::new();
                super::$rule(&super::super::sqlite(&folder));
            })*
        }
        #[cfg(feature = "redis")]
        mod in_redis {
            $(#[test]
            fn $rule() {
                if let Some(place) = super::super::redis() {
                    super::$rule(&place);
                }
            })*
        }
    };
}
use on_every_engine;

fn memory() -> Place {
    let memory = crate::store::memory::Memory::default();
    Box::new(move || Box::new(memory.clone()))
}

fn sqlite(folder: &Folder) -> Place {
    let file = folder.file();
    Box::new(move || Box::new(crate::store::sqlite::Sqlite::open(&file).unwrap()))
}

#[cfg(feature = "redis")]
fn redis() -> Option<Place> {
    let url = crate::store::redis::tests::fresh_url()?;
    Some(Box::new(move || Box::new(crate::store::redis::Redis::open(&url).unwrap())))
}

fn clock() -> Clock {
    Clock::default()
}

/// A process of this machine that has ended.
fn dead() -> Owner {
    let me = Owner::here();
    Owner { start: me.start + 1, ..me }
}

/// Of another machine: nobody knows whether it lives.
fn elsewhere() -> Owner {
    Owner { host: "other".into(), boot: "another".into(), pid: 1, start: 1 }
}

fn claim(run: &str) -> Claim {
    Claim {
        run: run.into(),
        workflow: "orders".into(),
        version: "1".into(),
        definition: u64::MAX,
        input: Some(Plain::json(&json!({"n": 1}))),
        options: Options::default(),
        create: true,
    }
}

/// Ours, with what is recorded of it.
fn take(store: &mut dyn Store, claim: &Claim, me: &Owner) -> Result<(Arc<Held>, Option<Recorded>)> {
    match claim.take(store, me, &clock())? {
        Taken::Ours(owned, recorded) => {
            let order = recorded.as_ref().map_or(0, |recorded| recorded.own.steps.len() as u64);
            Ok((Held::new(owned, order), recorded.map(|recorded| *recorded)))
        }
        Taken::Over(_) => panic!("it is over"),
    }
}

fn end(output: Value) -> StepEnd {
    StepEnd {
        how: How::Completed,
        output: Plain::json(&output),
        response: Plain::default(),
        error: None,
        attempts: 1,
        started_at: Some(1.5),
        duration_ms: Some(2.5),
    }
}

fn started(path: &str) -> Entry {
    Entry::Started { path: path.into(), id: path.into(), attempt: 1, at: 1.0 }
}

fn ended(path: &str, output: Value) -> Entry {
    Entry::Ended { path: path.into(), id: path.into(), end: end(output) }
}

fn flush(held: &Held, store: &mut dyn Store) -> Result<()> {
    held.flush(store, held.queued(), &clock())
}

fn load(store: &mut dyn Store, run: &str) -> Recorded {
    read::load(store, run, &clock()).unwrap().unwrap()
}

fn reason(error: &Error) -> String {
    error.members().get("reason").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn ending(over: Over) -> Ending {
    Ending { over, result: Plain::json(&json!({"output": 7})), error: None }
}

const KEEP_MS: u64 = 60_000;
