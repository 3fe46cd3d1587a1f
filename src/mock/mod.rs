//! Scripted answers in the words of a vendor: what a service says that a test puts in its place.
//!
//! A script says in neutral words what is answered ([`Said`]); [`answer`] gives the bytes in which
//! the vendor's own server would say it, a document or the events of a stream. Nothing here opens
//! a socket, looks at a clock or draws a random number: the same script gives the same bytes. Only
//! [`server`] does, which sends them.

mod anthropic;
mod asked;
mod cohere;
mod echo;
mod found;
mod ollama;
mod openai;
mod refusal;
mod responses;
mod said;
pub mod server;
mod stream;
mod talk;
mod vendor;

use crate::error::Error;
use crate::shape::nearest;

pub use asked::{Asked, Subject};
pub use echo::echo;
pub use refusal::{REFUSAL, Refusal};
pub use said::{Call, REPLY, Said};
use talk::Talk;
use vendor::Vendor;

/// Whose words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    OpenAi,
    Responses,
    Anthropic,
    Cohere,
    Ollama,
}

impl Dialect {
    pub const ALL: [Dialect; 5] =
        [Dialect::OpenAi, Dialect::Responses, Dialect::Anthropic, Dialect::Cohere, Dialect::Ollama];
    /// As scripts call them, in the order of [`Dialect::ALL`].
    pub const NAMES: &'static [&'static str] =
        &["openai", "responses", "anthropic", "cohere", "ollama"];

    pub fn name(self) -> &'static str {
        match self {
            Dialect::OpenAi => "openai",
            Dialect::Responses => "responses",
            Dialect::Anthropic => "anthropic",
            Dialect::Cohere => "cohere",
            Dialect::Ollama => "ollama",
        }
    }

    pub fn of(name: &str) -> Option<Dialect> {
        Dialect::ALL.into_iter().find(|dialect| dialect.name().eq_ignore_ascii_case(name))
    }

    /// What is to be said instead of a name that is none.
    pub fn nearest(name: &str) -> Option<&'static str> {
        nearest(name, Dialect::NAMES.iter().copied())
    }

    /// What a request to that path is about.
    pub fn subject(self, path: &str) -> Subject {
        Subject::of(path, self.vendor().chat_path())
    }

    fn vendor(self) -> &'static dyn Vendor {
        match self {
            Dialect::OpenAi => &openai::OpenAi,
            Dialect::Responses => &responses::Responses,
            Dialect::Anthropic => &anthropic::Anthropic,
            Dialect::Cohere => &cohere::Cohere,
            Dialect::Ollama => &ollama::Ollama,
        }
    }
}

/// What a server sends.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case; without those that tell how long the body is.
    pub headers: Vec<(String, String)>,
    /// The body. A stream has a piece for each event.
    pub chunks: Vec<Vec<u8>>,
    /// What the connection breaks with after the chunks: `network` where it is cut, `timeout`
    /// where nothing follows. Without chunks there is no head either.
    pub breaks: Option<Error>,
}

impl Answer {
    pub fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }
}

/// What the server of a vendor sends to a request where a script says `said`. Only a chat is told
/// what the script says: texts are embedded, models listed and tokens counted without it. An error
/// is also one for what is asked at no address of the vendor's.
pub fn answer(dialect: Dialect, asked: &Asked<'_>, said: &Said) -> Answer {
    let vendor = dialect.vendor();
    let mut answer = match (dialect.subject(asked.path), &said.error) {
        (Subject::Chat, _) => chat(vendor, &Talk::of(vendor, asked, said)),
        (Subject::Unknown, Some(refusal)) => refused(vendor, asked, refusal),
        (subject, _) => match found::document(dialect, &subject, asked) {
            Some(document) => whole(200, &document),
            None => refused(vendor, asked, &Refusal::no_such_address(asked.path)),
        },
    };
    if answer.status > 0 {
        answer.headers.push((vendor.id_header().into(), asked.name("req")));
    }
    answer
}

/// What a vendor's server sends where a script has nothing more to say.
pub fn refuse(dialect: Dialect, asked: &Asked<'_>, refusal: &Refusal) -> Answer {
    refused(dialect.vendor(), asked, refusal)
}

fn chat(vendor: &dyn Vendor, talk: &Talk<'_>) -> Answer {
    match &talk.said.error {
        None if talk.is_streamed() => streamed(vendor, talk, None),
        None => whole(200, &vendor.document(talk)),
        // What is said before it shows in a stream only.
        Some(refusal) if talk.is_streamed() && talk.says_something() => {
            streamed(vendor, talk, Some(refusal))
        }
        Some(refusal) => refused(vendor, talk.asked, refusal),
    }
}

fn streamed(vendor: &dyn Vendor, talk: &Talk<'_>, refusal: Option<&Refusal>) -> Answer {
    let mut stream = stream::Stream::default();
    vendor.say(talk, &mut stream);
    let breaks = refusal.and_then(Refusal::breaks);
    match refusal {
        None => vendor.end(talk, &mut stream),
        Some(refusal) if breaks.is_none() => vendor.fail(talk, refusal, &mut stream),
        Some(_) => {}
    }
    let headers = headers(vendor.stream_type());
    Answer { status: 200, headers, chunks: stream.chunks, breaks }
}

fn refused(vendor: &dyn Vendor, asked: &Asked<'_>, refusal: &Refusal) -> Answer {
    if let Some(error) = refusal.breaks() {
        return Answer { breaks: Some(error), ..Answer::default() };
    }
    let status = refusal.status.unwrap_or_else(|| vendor.status(refusal.kind));
    let mut answer = whole(status, &vendor.refusal(asked, refusal));
    answer.headers.extend(refusal.headers());
    answer
}

fn whole(status: u16, document: &serde_json::Value) -> Answer {
    let (headers, chunks) = (headers("application/json"), vec![document.to_string().into_bytes()]);
    Answer { status, headers, chunks, breaks: None }
}

fn headers(content_type: &str) -> Vec<(String, String)> {
    vec![("content-type".into(), content_type.into())]
}

#[cfg(test)]
mod tests;
