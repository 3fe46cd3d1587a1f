//! Stands in the place of the network and answers from a tape.
//!
//! Each request takes the first recorded one that it equals and that nobody took before. Its answer
//! comes within the call that asks, as fast as it is taken: no socket, and no clock but for an answer
//! that nobody waited for to the end.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::Duration;

use serde_json::{Value, json};

use super::clean::{self, MASK};
use super::compare::{self, Difference};
use super::tape::{Called, Entry, Exchange, Outcome, Tape};
use crate::error::Phase;
use crate::net::{Call, Failure, Flow, Request, Sink, Transport, Unrecorded, lock, workers};
use crate::provider::secret::{Redactor, Secret};

/// Letters of a value in a message.
const SHOWN: usize = 120;

/// Of a thread that only waits.
const STACK: usize = 128 << 10;

pub struct Player {
    path: PathBuf,
    secrets: Vec<Secret>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// In their order; `None`: it was taken.
    exchanges: Vec<Option<Exchange>>,
    /// The same of calls of tools.
    calls: Vec<Option<Called>>,
    /// The first request that was not there.
    missed: Option<String>,
    /// Answers that may not have ended.
    open: Vec<Weak<Playback>>,
}

impl Player {
    pub fn new(tape: Tape, path: PathBuf, secrets: Vec<Secret>) -> Player {
        let mut state = State::default();
        for entry in tape.entries {
            match entry {
                Entry::Exchange(exchange) => state.exchanges.push(Some(exchange)),
                Entry::Tool(called) => state.calls.push(Some(called)),
            }
        }
        Player { path, secrets, state: Mutex::new(state) }
    }

    /// Whoever waits for more than was recorded waits no longer.
    pub fn stop(&self) {
        let open = std::mem::take(&mut lock(&self.state).open);
        for playback in open.iter().filter_map(Weak::upgrade) {
            playback.end(Err(Failure::Broken("the cassette has ended".into())));
        }
    }

    /// What came of a call of that tool.
    pub fn call(&self, name: &str, input: &Value) -> Result<Outcome, Unrecorded> {
        let mut state = lock(&self.state);
        let differs = |called: &Called| compare::values(&called.input, input, String::new());
        let same = |one: &&mut Option<Called>| {
            one.as_ref().is_some_and(|one| one.name == name && differs(one).is_none())
        };
        if let Some(called) = state.calls.iter_mut().find(same).and_then(Option::take) {
            return Ok(called.outcome);
        }
        let near = state.calls.iter().flatten().find(|called| called.name == name);
        let why = match near.and_then(differs) {
            Some(difference) => told(&format!("call of the tool {name:?}"), difference),
            None => uncalled(name, input),
        };
        Err(self.told(&Redactor::new(&self.secrets), why, &mut state))
    }

    fn take(&self, request: &Request) -> Result<Exchange, Unrecorded> {
        let asked = clean::asked(request, 0);
        let mut state = lock(&self.state);
        let fits = |one: &Option<Exchange>| one.as_ref().is_some_and(|one| is_same(one, &asked));
        let found = state.exchanges.iter_mut().find(|one| fits(one)).and_then(Option::take);
        found.ok_or_else(|| self.missed(request, &asked, &mut state))
    }

    fn missed(&self, request: &Request, asked: &Exchange, state: &mut State) -> Unrecorded {
        let mut secrets = clean::secrets_of(request);
        secrets.extend(self.secrets.iter().cloned());
        let why = state.missing(asked);
        self.told(&Redactor::new(&secrets), why, state)
    }

    fn told(
        &self,
        redactor: &Redactor,
        (why, details): (String, Value),
        state: &mut State,
    ) -> Unrecorded {
        let why = redactor.replaced(&why, MASK);
        let message = format!("the cassette {} {why}", self.path.display());
        let first = state.missed.get_or_insert_with(|| message.clone());
        let message = match *first == message {
            true => message,
            false => format!("{message} (before that: {first})"),
        };
        Unrecorded { message, details: clean::masked(details, redactor) }
    }
}

impl State {
    /// Why none of the recorded requests is this one, in words and as data.
    fn missing(&self, asked: &Exchange) -> (String, Value) {
        let what = format!("{} {}", asked.method, asked.url);
        let mut details = json!({ "reason": "unrecorded", "request": what });
        let mut left = self.exchanges.iter().flatten();
        let Some(next) = left.clone().next() else {
            let why = format!("has no request left: {what} was asked, and all are answered");
            return (why, details);
        };
        let near = left.find(|one| is_addressed(one, asked));
        let difference = near.and_then(|near| compare::bodies(&near.body, &asked.body));
        let Some(difference) = difference else {
            let next = format!("{} {}", next.method, next.url);
            let why = format!("has no such request: recorded next {next}, asked {what}");
            details["recorded"] = next.into();
            return (why, details);
        };
        told(&format!("request: {what}"), difference)
    }
}

/// Where `what` differs, in words and as data.
fn told(what: &str, difference: Difference) -> (String, Value) {
    let Difference { path, recorded, asked } = difference;
    let (one, other) = (shown(recorded.as_ref()), shown(asked.as_ref()));
    let at = if path.is_empty() { String::new() } else { format!("at {path}: ") };
    let why = format!("has no such {what}: {at}recorded {one}, asked {other}");
    let mut details = json!({ "reason": "unrecorded", "path": path });
    for (name, value) in [("recorded", recorded), ("asked", asked)] {
        if let Some(value) = value {
            details[name] = value;
        }
    }
    (why, details)
}

fn uncalled(name: &str, input: &Value) -> (String, Value) {
    let why = format!("has no such call of the tool {name:?}, asked with {}", shown(Some(input)));
    (why, json!({ "reason": "unrecorded", "asked": input }))
}

/// A value as a message shows it.
fn shown(value: Option<&Value>) -> String {
    let text = value.map_or("nothing".to_owned(), Value::to_string);
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn is_addressed(recorded: &Exchange, asked: &Exchange) -> bool {
    recorded.method == asked.method && compare::urls(&recorded.url, &asked.url)
}

fn is_same(recorded: &Exchange, asked: &Exchange) -> bool {
    is_addressed(recorded, asked) && compare::bodies(&recorded.body, &asked.body).is_none()
}

impl Transport for Player {
    fn start(&self, request: Request, mut sink: Box<dyn Sink>) -> Box<dyn Call> {
        let playback = match self.take(&request) {
            Err(missing) => {
                sink.end(Err(Failure::Unrecorded(Box::new(missing))));
                Playback::default()
            }
            Ok(exchange) => {
                let is_open = exchange.is_open();
                if let Some((_, head)) = exchange.head {
                    sink.head(head);
                }
                let patience = patience(&request, exchange.pieces.is_empty());
                let pieces = exchange.pieces.into_iter().map(|(_, piece)| piece).collect();
                let end = exchange.end.filter(|_| !is_open).map(|(_, outcome)| outcome);
                let playing = Playing { sink, pieces, end, patience };
                Playback { playing: Mutex::new(Some(playing)), ended: Condvar::new() }
            }
        };
        let playback = Arc::new(playback);
        lock(&self.state).open.push(Arc::downgrade(&playback));
        playback.go_on();
        Box::new(playback)
    }
}

/// How long an answer is waited for whose end was not recorded.
fn patience(request: &Request, is_silent: bool) -> Option<(Duration, Phase)> {
    let limits = &request.limits;
    match is_silent {
        true => Some((limits.first_token?, Phase::FirstToken)),
        false => Some((limits.idle?, Phase::Idle)),
    }
}

/// An answer on its way.
#[derive(Default)]
struct Playback {
    /// `None` once it has ended.
    playing: Mutex<Option<Playing>>,
    ended: Condvar,
}

struct Playing {
    sink: Box<dyn Sink>,
    pieces: VecDeque<Vec<u8>>,
    /// `None`: nobody heard of it.
    end: Option<Result<(), Failure>>,
    patience: Option<(Duration, Phase)>,
}

impl Playback {
    fn go_on(self: &Arc<Playback>) {
        let mut place = lock(&self.playing);
        let outcome = place.as_mut().and_then(Playing::play);
        let is_over = place.as_ref().is_some_and(|playing| playing.pieces.is_empty());
        let patience = place.as_mut().filter(|_| is_over).and_then(|p| p.patience.take());
        drop(place);
        match (outcome, patience) {
            (Some(outcome), _) => self.end(outcome),
            (None, Some(patience)) if !self.has_end() => self.give_up_after(patience),
            _ => {}
        }
    }

    fn has_end(&self) -> bool {
        lock(&self.playing).as_ref().is_some_and(|playing| playing.end.is_some())
    }

    fn end(&self, outcome: Result<(), Failure>) {
        let playing = lock(&self.playing).take();
        self.ended.notify_all();
        if let Some(playing) = playing {
            playing.sink.end(outcome);
        }
    }

    /// Then it was cancelled; who does not do that now runs into the limit of the call.
    fn give_up_after(self: &Arc<Playback>, (span, phase): (Duration, Phase)) {
        let playback = self.clone();
        let wait = move || {
            let place = lock(&playback.playing);
            let waited = playback.ended.wait_timeout_while(place, span, |p| p.is_some());
            drop(waited);
            playback.end(Err(Failure::Timeout(phase)));
        };
        // Without a thread it is waited for until the total limit.
        let _ = workers::spawn("zigllms-cassette", STACK, wait);
    }
}

impl Playing {
    /// Hands over as much as is taken; how it ended, if it has.
    fn play(&mut self) -> Option<Result<(), Failure>> {
        while let Some(piece) = self.pieces.pop_front() {
            match self.sink.data(&piece) {
                Flow::Quiet => {}
                // Who follows sees each piece as it was seen then.
                Flow::Content if self.sink.is_followed() => return None,
                Flow::Content => {}
                Flow::Full => return None,
                Flow::Over | Flow::Stop => return Some(Ok(())),
            }
        }
        self.end.take()
    }
}

impl Call for Arc<Playback> {
    fn cancel(&self) {
        self.end(Err(Failure::Cancelled));
    }

    fn resume(&self) {
        self.go_on();
    }

    fn is_paced(&self) -> bool {
        true
    }
}
