//! Whatever a workflow is made of and whatever its functions do, some things always hold. Random
//! workflows are executed here by an edge that is no Lua: what may go on at a time goes on in a
//! random order.

mod dice;
mod edge;
mod plan;
mod watch;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::Code;
use crate::runtime::Runtime;
use crate::workflow::Status;
use crate::workflow::execution::How;
use edge::Edge;
use plan::{Plan, Traits};
use watch::Seen;

const WILD: Traits = Traits { calm: false, failing: 8 };
const CALM: Traits = Traits { calm: true, failing: 16 };
const SOUND: Traits = Traits { calm: true, failing: 0 };

fn edge(seed: u64, traits: Traits) -> Edge {
    let mut runtime = Runtime::default();
    let plan = Plan::grow(seed, traits, &mut runtime.slots);
    Edge::new(runtime, plan, seed.wrapping_mul(31))
}

fn nothing(_: &mut Edge) {}

/// The status, and of an execution that was completed its output.
fn told(edge: &Edge) -> (Status, Option<Value>) {
    let execution = edge.runtime.workflows.execution(edge.number).unwrap();
    let completed = execution.status == Status::Completed;
    (execution.status, edge.value(&execution.output).filter(|_| completed))
}

fn hows(edge: &Edge) -> BTreeMap<String, How> {
    let execution = edge.runtime.workflows.execution(edge.number).unwrap();
    execution.latest.iter().map(|(id, ended)| (id.to_string(), ended.how)).collect()
}

/// The path of a step beside another one: in the same list, the same iteration.
fn beside(path: &str, id: &str) -> String {
    let place = path.rfind('.').map_or("", |dot| path.get(..=dot).unwrap_or_default());
    format!("{place}{id}")
}

fn check_order(edge: &Edge, seed: u64) {
    for (at, (path, _)) in
        edge.watch.seen.iter().enumerate().filter(|(_, (_, s))| *s == Seen::Began)
    {
        let Some(step) = edge.plan.step(path.rsplit('.').next().unwrap_or(path)) else { continue };
        for id in &step.depends_on {
            let on = beside(path, id);
            let ended = edge.watch.first(&on, |seen| matches!(seen, Seen::Ended(_)));
            assert!(ended.is_some_and(|ended| ended < at), "{seed}: {path} before {on}");
        }
    }
}

#[test]
fn every_execution_ends_and_keeps_its_order_and_limits() {
    let (mut ends, mut widest) = (BTreeMap::new(), 0);
    for seed in 0..500 {
        let mut edge = edge(seed, WILD);
        let output = edge.execute(&mut nothing);
        let status = edge.status();
        let expected = if output.is_ok() { Status::Completed } else { Status::Failed };
        assert_eq!(status, expected, "{seed}: {:?}", output.err());
        edge.rests().unwrap();
        check_order(&edge, seed);
        *ends.entry(status.name()).or_insert(0) += 1;
        widest = widest.max(edge.watch.widest);
    }
    // It would prove nothing otherwise.
    assert!(ends.values().all(|count| *count > 50), "{ends:?}");
    assert_eq!(ends.len(), 2);
    assert_eq!(widest, 3);
}

#[test]
fn each_step_ends_once_in_one_way() {
    for seed in 0..500 {
        let mut edge = edge(seed, CALM);
        let _ = edge.execute(&mut nothing);
        let twice: Vec<_> = edge.watch.ends().into_iter().filter(|(_, n)| *n > 1).collect();
        assert!(twice.is_empty(), "{seed}: {twice:?}");
        let execution = edge.runtime.workflows.execution(edge.number).unwrap();
        let mut order = execution.order.clone();
        order.sort();
        order.dedup();
        assert_eq!(order.len(), execution.latest.len(), "{seed}");
        assert_eq!(order.len(), execution.order.len(), "{seed}");
        assert!(edge.calls.values().all(|count| *count == 1), "{seed}: {:?}", edge.calls);
    }
}

/// Executes it with a pause in every turn of so many; answers how often it paused.
fn execute_with_pauses(edge: &mut Edge, every: usize) -> usize {
    let mut pauses = 0;
    let pause = |edge: &mut Edge| {
        if edge.turns.is_multiple_of(every) {
            edge.pause();
        }
    };
    let mut output = edge.execute(&mut |edge| pause(edge));
    while edge.status() == Status::Paused {
        assert!(output.is_ok());
        edge.rests().unwrap();
        pauses += 1;
        // One that stops before it came to anything new would never end.
        let before = edge.watch.ended();
        output = edge.resume(&mut |edge| {
            if edge.watch.ended() > before {
                pause(edge);
            }
        });
    }
    pauses
}

#[test]
fn pausing_changes_nothing() {
    let mut pauses = 0;
    for seed in 0..120 {
        let mut plain = edge(seed, SOUND);
        let _ = plain.execute(&mut nothing);
        assert_eq!(plain.status(), Status::Completed, "{seed}");
        for every in [1, 2, 3, 7, 20] {
            let mut edge = edge(seed, SOUND);
            pauses += execute_with_pauses(&mut edge, every);
            assert_eq!(told(&edge), told(&plain), "{seed}, paused in every turn of {every}");
            assert_eq!(hows(&edge), hows(&plain), "{seed}, {every}");
            assert_eq!(edge.calls, plain.calls, "{seed}, {every}");
            check_order(&edge, seed);
        }
    }
    assert!(pauses > 500, "{pauses}");
}

#[test]
fn pausing_saves_nobody_from_failing() {
    for seed in 0..120 {
        let mut plain = edge(seed, CALM);
        let _ = plain.execute(&mut nothing);
        for every in [1, 3, 20] {
            let mut edge = edge(seed, CALM);
            execute_with_pauses(&mut edge, every);
            assert_eq!(told(&edge), told(&plain), "{seed}, paused in every turn of {every}");
            edge.rests().unwrap();
        }
    }
}

#[test]
fn cancelling_leaves_nothing_under_way() {
    let (mut cancelled, mut failed) = (0, 0);
    for seed in 0..120 {
        let mut plain = edge(seed, WILD);
        let _ = plain.execute(&mut nothing);
        for part in 0..6 {
            let at = plain.turns * part / 6 + 1;
            let mut edge = edge(seed, WILD);
            let (mut was, mut calls) = (false, 0);
            let output = edge.execute(&mut |edge: &mut Edge| {
                if edge.turns == at {
                    was = edge.cancel();
                    calls = edge.calls.len();
                }
            });
            edge.rests().unwrap();
            if was {
                // A failure that was on its way to the outside before comes first.
                let stopped = output.err().is_some_and(|error| error.code() == Code::Cancelled);
                let status = if stopped { Status::Cancelled } else { Status::Failed };
                assert_eq!(edge.status(), status, "{seed}, at {at}");
                assert_eq!(edge.calls.len(), calls, "{seed}, at {at}: called afterwards");
                assert!(!edge.cancel());
                (cancelled, failed) =
                    (cancelled + usize::from(stopped), failed + usize::from(!stopped));
            }
        }
    }
    assert!(cancelled > 300 && failed * 20 < cancelled, "{cancelled}, {failed}");
}
