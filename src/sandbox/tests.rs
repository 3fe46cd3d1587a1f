//! The pool, with an engine that knows no Lua: a script's text is a word.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::pool::Pool;
use super::{Answer, Engine, Failure, Form, Job, Limits, Room, Script};
use crate::clock::{Clock, Moment};
use crate::error::Result;
use crate::net::{Notifier, Waker, Woke};

#[derive(Default)]
struct Words {
    rooms: AtomicUsize,
}

#[derive(Default)]
struct Word {
    spoiled: bool,
    fails_in: Option<Duty>,
}

/// What a room has to do besides running.
#[derive(PartialEq)]
enum Duty {
    Tidy,
    Drop,
}

impl Drop for Word {
    fn drop(&mut self) {
        assert!(self.fails_in != Some(Duty::Drop), "as it is dropped");
    }
}

impl Engine for Words {
    fn room(&self) -> Result<Box<dyn Room>> {
        self.rooms.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Word::default()))
    }

    fn check(&self, _: &Script) -> Result<()> {
        Ok(())
    }
}

impl Room for Word {
    fn run(&mut self, job: &Job) -> Answer {
        match &*job.script.text {
            b"panic" => panic!("in a room"),
            b"spoil" => self.spoiled = true,
            b"fail in tidy" => self.fails_in = Some(Duty::Tidy),
            b"fail in drop" => (self.spoiled, self.fails_in) = (true, Some(Duty::Drop)),
            b"loop" => loop {
                if let Some(over) = job.over() {
                    return Err(over);
                }
                std::hint::spin_loop();
            },
            // It cannot be stopped, as a long operation of Lua's.
            b"stuck" => crate::net::testing::sleep_ms(3000),
            _ => {}
        }
        Ok(None)
    }

    fn tidy(&mut self) -> bool {
        assert!(self.fails_in != Some(Duty::Tidy), "in tidy");
        !self.spoiled
    }
}

struct Desk {
    engine: &'static Words,
    pool: &'static Pool,
    notifier: Arc<Notifier>,
}

impl Desk {
    fn new() -> Desk {
        let engine: &'static Words = Box::leak(Box::default());
        let pool = Box::leak(Box::new(Pool::new(engine)));
        Desk { engine, pool, notifier: Notifier::new().unwrap() }
    }

    fn submit(&self, word: &str, deadline: Option<Moment>) -> Arc<Job> {
        let script = Script::new("word", word.as_bytes(), Form::Function);
        let waker = Waker::new(&self.notifier, 1);
        let job = Arc::new(Job::new(
            script,
            Limits::default(),
            deadline,
            Vec::new(),
            Clock::default(),
            waker,
        ));
        self.pool.submit(job.clone()).unwrap();
        job
    }

    fn wait(&self, job: &Job) -> Answer {
        loop {
            if let Some(answer) = job.take_answer() {
                return answer;
            }
            let woke = self.notifier.wait(Some(Duration::from_secs(20)));
            assert_ne!(woke, Woke::Timeout, "nobody works");
            self.notifier.take();
        }
    }

    fn rooms(&self) -> usize {
        self.engine.rooms.load(Ordering::Relaxed)
    }
}

#[test]
fn a_room_is_used_again_until_it_is_spoiled() {
    let desk = Desk::new();
    for word in ["a", "b", "spoil", "c", "panic", "d"] {
        let answer = desk.wait(&desk.submit(word, None));
        assert_eq!(answer.is_ok(), word != "panic", "{word}");
        // The thread is idle only after it has tidied up.
        crate::net::testing::sleep_ms(5);
    }
    assert_eq!(desk.rooms(), 3);
}

#[test]
fn loops_end_at_their_deadline_and_when_they_are_cancelled() {
    let desk = Desk::new();
    let clock = crate::clock::Clock::default();
    let late = desk.submit("loop", Some(clock.now().after_ms(20)));
    let cancelled = desk.submit("loop", None);
    assert!(matches!(desk.wait(&late), Err(Failure::Late)));
    cancelled.cancel();
    assert!(matches!(desk.wait(&cancelled), Err(Failure::Cancelled)));
}

#[test]
fn jobs_beyond_the_threads_wait_for_their_turn() {
    let desk = Desk::new();
    let loops: Vec<_> = (0..20).map(|_| desk.submit("loop", None)).collect();
    let last = desk.submit("a", None);
    loops.iter().for_each(|job| job.cancel());
    for job in &loops {
        assert!(matches!(desk.wait(job), Err(Failure::Cancelled)));
    }
    assert!(desk.wait(&last).is_ok());
    assert!(desk.rooms() <= 16);
}

#[test]
fn jobs_that_cannot_be_stopped_keep_no_thread_from_others() {
    let desk = Desk::new();
    let clock = crate::clock::Clock::default();
    let stuck: Vec<_> = (0..16).map(|_| desk.submit("stuck", None)).collect();
    let waiting = desk.submit("a", None);
    crate::net::testing::sleep_ms(50);
    assert!(waiting.take_answer().is_none(), "all threads there may be have a job");
    let began = clock.now();
    stuck.iter().for_each(|job| job.cancel());
    desk.pool.given_up();
    assert!(desk.wait(&waiting).is_ok());
    assert!(desk.wait(&desk.submit("b", None)).is_ok());
    assert!(clock.now().ms_since(began) < 2000.0);
}

#[test]
fn threads_outlive_the_panics_of_their_rooms() {
    let desk = Desk::new();
    for word in ["fail in tidy", "fail in drop"] {
        // All at once, so that every thread there may be has one.
        let jobs: Vec<_> = (0..40).map(|_| desk.submit(word, None)).collect();
        jobs.iter().for_each(|job| assert!(desk.wait(job).is_ok(), "{word}"));
        assert!(desk.wait(&desk.submit("a", None)).is_ok(), "after {word}");
    }
}
