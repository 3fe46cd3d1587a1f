//! Stands in front of the network and takes down what passes.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::clean;
use super::tape::{Called, Entry, Exchange, Outcome, Tape};
use crate::clock::{Clock, Moment};
use crate::net::{Call, Failure, Flow, Head, Request, Sink, Transport, lock};
use crate::provider::secret::Secret;

pub struct Recorder {
    network: Arc<dyn Transport>,
    session: Arc<Session>,
}

/// Shared with the sinks, which may outlive the recording.
struct Session {
    clock: Clock,
    began: Moment,
    /// `None` once it is over.
    notes: Mutex<Option<Notes>>,
}

#[derive(Default)]
struct Notes {
    tape: Tape,
    secrets: Vec<Secret>,
}

impl Recorder {
    pub fn new(
        network: Arc<dyn Transport>,
        clock: &Clock,
        recorded_at: f64,
        tools: bool,
        secrets: Vec<Secret>,
    ) -> Recorder {
        let tape = Tape { recorded_at, tools, entries: Vec::new() };
        let notes = Mutex::new(Some(Notes { tape, secrets }));
        let session = Session { clock: clock.clone(), began: clock.now(), notes };
        Recorder { network, session: Arc::new(session) }
    }

    /// A sink that takes down what `sink` gets.
    pub fn tap(&self, request: &Request, sink: Box<dyn Sink>) -> Box<dyn Sink> {
        match self.session.open(request) {
            Some(number) => {
                Box::new(Tap { sink: Some(sink), session: self.session.clone(), number })
            }
            None => sink,
        }
    }

    /// A call of a tool has ended.
    pub fn called(&self, name: &str, input: Value, outcome: Outcome) {
        let at = self.session.ms();
        if let Some(notes) = lock(&self.session.notes).as_mut() {
            let called = Called { at, name: name.to_owned(), input, outcome };
            notes.tape.entries.push(Entry::Tool(called));
        }
    }

    /// Ends the recording and gives it without what is secret.
    pub fn finish(&self, secrets: Vec<Secret>) -> Option<Tape> {
        let mut notes = lock(&self.session.notes).take()?;
        notes.learn(secrets);
        let entries = notes.tape.entries.iter();
        let told: Vec<Secret> = entries.flat_map(clean::secrets_of_entry).collect();
        notes.learn(told);
        clean::tape(&mut notes.tape, &notes.secrets);
        Some(notes.tape)
    }
}

impl Transport for Recorder {
    fn start(&self, request: Request, sink: Box<dyn Sink>) -> Box<dyn Call> {
        let sink = self.tap(&request, sink);
        self.network.start(request, sink)
    }
}

impl Notes {
    fn learn(&mut self, secrets: Vec<Secret>) {
        for secret in secrets {
            if !self.secrets.contains(&secret) {
                self.secrets.push(secret);
            }
        }
    }
}

impl Session {
    fn open(&self, request: &Request) -> Option<usize> {
        let at = self.ms();
        let mut notes = lock(&self.notes);
        let notes = notes.as_mut()?;
        notes.learn(clean::secrets_of(request));
        notes.tape.entries.push(Entry::Exchange(clean::asked(request, at)));
        Some(notes.tape.entries.len() - 1)
    }

    fn ms(&self) -> u64 {
        self.clock.now().ms_since(self.began) as u64
    }

    fn note(&self, number: usize, write: impl FnOnce(&mut Exchange, u64)) {
        let at = self.ms();
        let mut notes = lock(&self.notes);
        let entry = notes.as_mut().and_then(|notes| notes.tape.entries.get_mut(number));
        if let Some(Entry::Exchange(exchange)) = entry {
            write(exchange, at);
        }
    }
}

struct Tap {
    /// Until the end.
    sink: Option<Box<dyn Sink>>,
    session: Arc<Session>,
    number: usize,
}

impl Sink for Tap {
    fn head(&mut self, head: Head) {
        self.session.note(self.number, |exchange, at| {
            // A client of the user's says last whether what it handed over was an answer.
            if head.status >= 300 {
                exchange.pieces.clear();
            }
            exchange.head = Some((at, head.clone()));
        });
        if let Some(sink) = &mut self.sink {
            sink.head(head);
        }
    }

    fn data(&mut self, bytes: &[u8]) -> Flow {
        self.session.note(self.number, |exchange, at| exchange.pieces.push((at, bytes.to_vec())));
        self.sink.as_mut().map_or(Flow::Stop, |sink| sink.data(bytes))
    }

    fn is_followed(&self) -> bool {
        self.sink.as_ref().is_some_and(|sink| sink.is_followed())
    }

    fn end(mut self: Box<Self>, outcome: Result<(), Failure>) {
        self.session.note(self.number, |exchange, at| exchange.end = Some((at, outcome.clone())));
        if let Some(sink) = self.sink.take() {
            sink.end(outcome);
        }
    }
}

impl Drop for Tap {
    /// A client of the user's has failed.
    fn drop(&mut self) {
        if self.sink.is_some() {
            let why = Failure::Broken("the transport failed".into());
            self.session.note(self.number, |exchange, at| {
                exchange.end.get_or_insert((at, Err(why)));
            });
        }
    }
}
