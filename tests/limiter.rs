//! The rate limiter over random loads, with time as a plain number.

mod common;

use std::sync::Arc;

use common::Random;
use zigllms::clock::Moment;
use zigllms::error::{Code, Error};
use zigllms::net::{Notifier, Waker};
use zigllms::provider::limiter::{Allowance, Gate, Limiters, Pass, Rate, Window};

const MINUTE: u64 = 60_000;

fn at(ms: u64) -> Moment {
    Moment::START.after_ms(ms)
}

/// Sends requests as early as it may; gives when, and with how many tokens.
fn sent(random: &mut Random, allowed: Allowance) -> Vec<(u64, u64)> {
    let (mut window, mut now, mut sent) = (Window::default(), 0, Vec::new());
    let largest = allowed.tokens.map_or(1000, |most| most + most / 8 + 1) as usize;
    for _ in 0..400 {
        // Bursts, trickles, and now and then more than a minute of nothing.
        now += [0, 0, 0, 7, 900, 2 * MINUTE][random.below(6)];
        let tokens = random.below(largest) as u64;
        let Some(soonest) = window.soonest(at(now), allowed, tokens) else {
            assert!(tokens > allowed.tokens.unwrap());
            continue;
        };
        let wait = at(now).until(soonest).as_millis() as u64;
        if wait > 0 {
            assert!(window.soonest(at(now + wait - 1), allowed, tokens) > Some(at(now + wait - 1)));
        }
        now += wait;
        assert_eq!(window.soonest(at(now), allowed, tokens), Some(at(now)), "a promise is kept");
        window.take(at(now), tokens);
        sent.push((now, tokens));
    }
    sent
}

#[test]
fn no_minute_holds_more_than_is_allowed_wherever_it_begins() {
    let mut random = Random::new(7);
    for round in 0..60 {
        let requests = (round % 3 != 1).then(|| 1 + random.below(20) as u64);
        let tokens = (round % 3 != 0).then(|| 1 + random.below(5000) as u64);
        let sent = sent(&mut random, Allowance { requests, tokens });
        assert!(sent.len() > 100);
        for (i, (begin, _)) in sent.iter().enumerate() {
            let minute = || sent[i..].iter().take_while(|(when, _)| *when < begin + MINUTE);
            assert!(requests.is_none_or(|most| minute().count() as u64 <= most));
            assert!(tokens.is_none_or(|most| minute().map(|(_, n)| n).sum::<u64>() <= most));
        }
    }
}

#[test]
fn an_idle_provider_takes_a_whole_burst_at_once() {
    let allowed = Allowance { requests: Some(5), tokens: None };
    let mut window = Window::default();
    for _ in 0..5 {
        assert_eq!(window.soonest(at(1000), allowed, 0), Some(at(1000)));
        window.take(at(1000), 0);
    }
    assert_eq!(window.soonest(at(1000), allowed, 0), Some(at(61_000)));
}

#[test]
fn what_was_estimated_is_corrected_up_and_down() {
    let allowed = Allowance { requests: None, tokens: Some(100) };
    let mut window = Window::default();
    let first = window.take(at(0), 90);
    let second = window.take(at(10), 10);
    assert_eq!(window.soonest(at(20), allowed, 50), Some(at(MINUTE)));
    window.correct(first, 30);
    assert_eq!(window.soonest(at(20), allowed, 50), Some(at(20)));
    window.correct(second, 300);
    assert_eq!(window.soonest(at(20), allowed, 50), Some(at(MINUTE + 10)));
    // Long gone: nothing to correct.
    assert_eq!(window.soonest(at(5 * MINUTE), allowed, 100), Some(at(5 * MINUTE)));
    window.correct(first, 1000);
    assert_eq!(window.soonest(at(5 * MINUTE), allowed, 100), Some(at(5 * MINUTE)));
}

/// These limits are not shared.
fn nowhere() -> zigllms::store::Shared {
    panic!("the store was asked")
}

struct Caller {
    gate: Gate,
    waker: Waker,
}

/// Callers at one limiter, which allows two requests a minute.
fn callers(count: u64, notifier: &Arc<Notifier>) -> Vec<Caller> {
    let limiters = Limiters::default();
    let allowed = Allowance { requests: Some(2), tokens: None };
    let rate = Rate { allowed, ..Rate::default() };
    let caller = |token| Caller {
        gate: limiters.gate(&rate, at(0), None),
        waker: Waker::new(notifier, token),
    };
    (1..=count).map(caller).collect()
}

impl Caller {
    fn pass(&mut self, ms: u64) -> Pass {
        self.waker.rearm();
        self.gate.pass(at(ms), &self.waker, 0, nowhere).unwrap()
    }
}

#[test]
fn those_who_wait_go_in_the_order_they_came() {
    let notifier = Notifier::new().unwrap();
    let mut all = callers(5, &notifier);
    let first: Vec<Pass> = all.iter_mut().map(|caller| caller.pass(0)).collect();
    let next = Pass::Wait(Some(at(MINUTE)));
    assert_eq!(first, [Pass::Go, Pass::Go, next, Pass::Wait(None), Pass::Wait(None)]);
    assert_eq!(all[4].pass(MINUTE), Pass::Wait(None), "there would be room, but others are first");
    assert_eq!(all[2].pass(MINUTE), Pass::Go);
    assert_eq!(notifier.take(), Some(4), "the next one is told");
    assert_eq!(all[3].pass(MINUTE), Pass::Go);
    assert_eq!(notifier.take(), Some(5));
    assert_eq!(all[4].pass(MINUTE), Pass::Wait(Some(at(2 * MINUTE))));
}

#[test]
fn who_leaves_the_line_holds_nobody_up() {
    let notifier = Notifier::new().unwrap();
    let mut all = callers(5, &notifier);
    for caller in &mut all {
        caller.pass(0);
    }
    drop(all.remove(3));
    assert_eq!(notifier.take(), None, "the first one waits as before");
    drop(all.remove(2));
    assert_eq!(notifier.take(), Some(5));
    assert_eq!(all[2].pass(MINUTE), Pass::Go);
}

#[test]
fn who_does_not_want_to_wait_learns_how_long_it_would_be() {
    let notifier = Notifier::new().unwrap();
    let limiters = Limiters::default();
    let allowed = Allowance { requests: Some(1), tokens: None };
    let gate = |raises| limiters.gate(&Rate { allowed, raises, ..Rate::default() }, at(0), None);
    let (mut first, mut waiting, mut hasty) = (gate(true), gate(false), gate(true));
    let waker = |token| Waker::new(&notifier, token);
    assert_eq!(first.pass(at(0), &waker(1), 0, nowhere).unwrap(), Pass::Go);
    let refused = hasty.pass(at(20_000), &waker(2), 0, nowhere).unwrap_err();
    assert_eq!(refused.code(), Code::RateLimited);
    assert_eq!(refused.fields().retry_after_ms, Some(40_001));
    assert!(matches!(
        waiting.pass(at(20_000), &waker(3), 0, nowhere).unwrap(),
        Pass::Wait(Some(_))
    ));
    let refused = hasty.pass(at(20_000), &waker(2), 0, nowhere).unwrap_err();
    assert_eq!(refused.fields().retry_after_ms, Some(100_001), "after the one who waits");
}

#[test]
fn a_request_above_the_allowance_never_goes() {
    let notifier = Notifier::new().unwrap();
    let allowed = Allowance { requests: None, tokens: Some(100) };
    let mut gate = Limiters::default().gate(&Rate { allowed, ..Rate::default() }, at(0), None);
    let error: Error = gate.pass(at(0), &Waker::new(&notifier, 1), 101, nowhere).unwrap_err();
    assert_eq!((error.code(), error.retryable()), (Code::RateLimited, false));
    assert_eq!(gate.pass(at(0), &Waker::new(&notifier, 1), 100, nowhere).unwrap(), Pass::Go);
}

#[test]
fn keys_are_counted_apart_and_idle_ones_forgotten() {
    let notifier = Notifier::new().unwrap();
    let limiters = Limiters::default();
    let allowed = Allowance { requests: Some(1), tokens: None };
    for round in 0..3 {
        for user in 0..200 {
            let rate = Rate {
                allowed,
                key: format!("user {user} of {round}"),
                raises: true,
                shared: false,
            };
            let now = at(round * 2 * MINUTE + user);
            let waker = Waker::new(&notifier, 1);
            assert_eq!(
                limiters.gate(&rate, now, None).pass(now, &waker, 0, nowhere).unwrap(),
                Pass::Go
            );
            assert!(limiters.gate(&rate, now, None).pass(now, &waker, 0, nowhere).is_err());
        }
        assert!(format!("{limiters:?}") == "Limiters(200)", "{limiters:?}");
    }
}
