//! What the engine inside this process is asked besides chats.

use super::fields::refuse;
use super::inbox::Shared;
use super::local::{Countable, Made, Model};
use super::question::{Count, Embed, Embeddings, Found, Question};
use super::source::Going;
use crate::error::{Error, Result};
use crate::net::Waker;
use crate::runtime::Runtime;

/// The answer is in the inbox once the model's thread has got to it.
pub fn start(
    model: &Model,
    runtime: &Runtime,
    question: Question<'_>,
    inbox: Shared,
    waker: Waker,
) -> Result<Going> {
    let tell = move |found: Result<Found>| {
        let mut inbox = inbox.lock();
        inbox.end = Some(found.map(|found| inbox.found = Some(found)));
        drop(inbox);
        waker.wake();
    };
    match question {
        Question::Count(count) => {
            let clock = runtime.clock.clone();
            let done = move |tokens: Result<u64>| tell(tokens.map(Found::Count));
            model.count_tokens(countable(count), clock, done);
            Ok(Going::Count)
        }
        Question::Embed(embed) => {
            refuse_what_it_lacks(embed)?;
            let name = model.name();
            let done = move |made: Result<Made>| tell(made.map(|made| embeddings(made, name)));
            Ok(Going::Generation(model.embed(embed.texts.clone(), done)))
        }
        Question::Chat(_) | Question::Models(_) => {
            Err(Error::internal("the engine is asked otherwise"))
        }
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
