//! Several owners at once.

use std::thread;

use super::*;

on_every_engine! {
    one_of_many_gets_a_new_run
    who_is_robbed_writes_nothing
}

fn one_of_many_gets_a_new_run(place: &Place) {
    for round in 0..5 {
        let run = format!("r{round}");
        let stores: Vec<_> = (0..6).map(|_| place()).collect();
        let threads: Vec<_> = stores
            .into_iter()
            .map(|mut store| {
                let run = run.clone();
                thread::spawn(move || take(&mut *store, &claim(&run), &Owner::here()).map(drop))
            })
            .collect();
        let outcomes: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 5));
        assert!(lost.iter().all(|outcome| reason(outcome.as_ref().unwrap_err()) == "owned"));
    }
}

/// Each robs the others all the time, as if they had died. Each step is written by one of them, and
/// by the one that was told so.
fn who_is_robbed_writes_nothing(place: &Place) {
    let stores: Vec<_> = (0..4).map(|_| place()).collect();
    let threads: Vec<_> = stores
        .into_iter()
        .enumerate()
        .map(|(me, mut store)| thread::spawn(move || rob(&mut *store, me)))
        .collect();
    let mut written: Vec<(usize, String)> =
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    written.sort();
    let recorded = load(&mut *place(), "r");
    let steps = recorded.own.in_order();
    let found: Vec<_> = steps.iter().map(|(_, _, end)| end.output.to_json()).collect();
    let numbers: Vec<usize> = written.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (0..found.len()).collect::<Vec<_>>());
    assert_eq!(found, written.iter().map(|(_, who)| json!(who)).collect::<Vec<_>>());
    assert!(recorded.head.fence >= 4);
}

fn rob(store: &mut dyn Store, me: usize) -> Vec<(usize, String)> {
    let mut written = Vec::new();
    for round in 0..15 {
        let (held, recorded) = match take(store, &claim("r"), &dead()) {
            Ok(ours) => ours,
            Err(error) => panic!("{error}"),
        };
        let first = recorded.map_or(0, |recorded| recorded.own.steps.len());
        for number in first..first + 3 {
            let who = format!("{me}.{round}.{number}");
            held.queue("", ended(&format!("s{number:04}"), json!(who)));
            match flush(&held, store) {
                Ok(()) => written.push((number, who)),
                Err(error) => {
                    assert_eq!(reason(&error), "lease_lost");
                    break;
                }
            }
        }
    }
    written
}
