//! What the engine inside this process is asked, and who hears it.

use super::fields::refuse;
use super::inbox::{Inbox, Shared};
use super::local::{Countable, Listener, Made, Model, Task, check};
use super::question::{Count, Embed, Embeddings, Found, Question};
use super::source::Going;
use crate::chat::{Delta, Reply};
use crate::clock::{Busy, Clock};
use crate::error::{Error, Result};
use crate::net::{Limits, Waker};

/// The answer is in the inbox once the model's thread has got to it.
pub fn start(
    model: &Model,
    question: Question<'_>,
    limits: Limits,
    clock: Clock,
    inbox: Shared,
    waker: Waker,
) -> Result<Going> {
    let heard = Heard { inbox, waker, clock: clock.clone(), busy: clock.busy() };
    match question {
        Question::Chat(request) => {
            check(request)?;
            let task = Task { request: request.clone(), limits, clock };
            Ok(Going::Generation(model.start(task, Box::new(heard))))
        }
        Question::Count(count) => {
            let done = move |tokens: Result<u64>| heard.found(tokens.map(Found::Count));
            model.count_tokens(countable(count), clock, done);
            Ok(Going::Count)
        }
        Question::Embed(embed) => {
            refuse_what_it_lacks(embed)?;
            let name = model.name();
            let done = move |made: Result<Made>| heard.found(made.map(|it| embeddings(it, name)));
            Ok(Going::Generation(model.embed(embed.texts.clone(), done)))
        }
        Question::Models(_) => Err(Error::internal("a file is not asked for its models")),
    }
}

/// Hears the engine and gathers what it says.
struct Heard {
    inbox: Shared,
    waker: Waker,
    clock: Clock,
    busy: Busy,
}

impl Heard {
    fn found(self, found: Result<Found>) {
        self.close(|inbox| found.map(|found| inbox.found = Some(found)));
    }

    /// The last word. Under the lock, so that whoever sees the end finds nothing under way any more.
    fn close(self, end: impl FnOnce(&mut Inbox) -> Result<()>) {
        let mut inbox = self.inbox.lock();
        inbox.end = Some(end(&mut inbox));
        self.waker.wake();
        drop(self.busy);
    }
}

impl Listener for Heard {
    fn delta(&mut self, delta: &Delta) -> bool {
        let mut inbox = self.inbox.lock();
        inbox.delta.append(delta.clone());
        inbox.reply.content.push_str(&delta.content);
        inbox.first_at.get_or_insert_with(|| self.clock.now());
        let heard = !inbox.unheard;
        drop(inbox);
        if heard {
            self.waker.wake();
        }
        true
    }

    fn end(self: Box<Self>, outcome: Result<Reply>) {
        self.close(|inbox| outcome.map(|reply| inbox.reply = reply));
    }
}

fn refuse_what_it_lacks(embed: &Embed) -> Result<()> {
    refuse(&[
        ("input_type", embed.input_type.is_some()),
        ("dimensions", embed.dimensions.is_some()),
        ("extra", !embed.extra.is_empty()),
    ])
}

fn embeddings(made: Made, name: String) -> Found {
    let Made { vectors, tokens } = made;
    Found::Embeddings(Embeddings { vectors, model: Some(name), tokens: Some(tokens) })
}

fn countable(count: &Count) -> Countable {
    let Count { request, text } = count;
    match request.messages.first().filter(|_| *text) {
        Some(message) => Countable::Text(message.content.text()),
        None => {
            Countable::Chat { messages: request.messages.clone(), tools: request.tools.clone() }
        }
    }
}
