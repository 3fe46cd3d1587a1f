//! Where what a server says arrives, from whatever thread, and where those look who wait for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::outline::Outline;
use super::rpc::{self, Id, METHOD_NOT_FOUND, Message, PARSE_ERROR, Refusal};
use crate::error::{Code, Error};
use crate::net::{Waker, lock};
use crate::provider::secret::{Redactor, Secret};

/// Words of a server that nobody has heard yet: so many lines, and so many bytes of one.
const MOST_WORDS: usize = 1000;
const LONGEST_WORDS: usize = 8192;

/// Of what it wrote last, so much is shown where it has died.
const LAST_WORDS: usize = 600;

/// Reports of progress that wait to be told, for each call.
const MOST_REPORTS: usize = 256;

/// Answers to a server that does not read them.
const MOST_REPLIES: usize = 1000;

/// Why there is no answer.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The server's answer is an error.
    Refused(Refusal),
    /// It no longer knows the session.
    Expired,
    /// It is to be asked there.
    Moved(String),
    /// The stream has ended before the answer, which goes on where this was seen, so many
    /// milliseconds later.
    Paused {
        seen: String,
        ms: u64,
    },
    Failed(Error),
}

/// Who has waited for an answer without an id.
#[derive(Clone, Copy, Debug)]
pub enum Whose {
    Only(u64),
    Nobodys,
    /// That cannot be known, so it was everybody's.
    Anyones,
}

pub type Answer = Result<Value, Trouble>;

/// A line that a server has written for people.
#[derive(Debug)]
pub struct Words {
    pub text: String,
    /// "stderr", or "message" of the protocol.
    pub stream: &'static str,
    pub level: Option<String>,
}

/// A message for the server.
pub struct Letter {
    /// Of a request.
    pub id: Option<u64>,
    pub message: String,
    /// It asks for the call of a tool.
    pub calls: bool,
}

#[derive(Default)]
struct Waiting {
    wakers: Vec<Waker>,
    answer: Option<Answer>,
    progress: VecDeque<Value>,
}

#[derive(Default)]
pub struct State {
    waiting: HashMap<u64, Waiting>,
    /// What is to be sent, where somebody looks after that by himself.
    pub outgoing: VecDeque<Letter>,
    /// Nothing more will come.
    gone: Option<Error>,
    /// The list of tools is no longer true.
    changed: bool,
    deaf: bool,
    words: VecDeque<Words>,
    /// Lines that were not kept.
    lost: u64,
    last_words: String,
    listener: Option<Waker>,
    /// As a session of an HTTP server is called.
    pub session: Option<String>,
}

/// Shared between a link's threads and those who wait.
#[derive(Clone)]
pub struct Mailbox {
    state: Arc<Mutex<State>>,
    /// Takes out what must not be seen; servers echo what they were given.
    clean: Option<Arc<Redactor>>,
}

impl Mailbox {
    pub fn new(secrets: &[Secret], listener: Waker) -> Mailbox {
        let clean = (!secrets.is_empty()).then(|| Arc::new(Redactor::new(secrets)));
        let state = State { listener: Some(listener), ..State::default() };
        Mailbox { state: Arc::new(Mutex::new(state)), clean }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub fn is(&self, other: &Mailbox) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    /// A document has come, in that text.
    pub fn receive(&self, document: Value, text: &[u8]) {
        let document = match &self.clean {
            Some(clean) => clean.value(document),
            None => document,
        };
        self.lock().receive(document, text);
    }

    /// A message has come that cannot be read. False if that is nobody's loss.
    pub fn misheard(&self, outline: Outline, whose: Whose, why: Error) -> bool {
        let why = self.cleaned(why);
        self.lock().misheard(outline, whose, &why)
    }

    /// A line for people has come.
    pub fn note(&self, stream: &'static str, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let text = self.clean.as_ref().map_or_else(|| text.to_string(), |clean| clean.text(&text));
        self.lock().complain(stream, &text);
    }

    pub fn fail(&self, id: u64, why: Trouble) {
        let why = match why {
            Trouble::Failed(error) => Trouble::Failed(self.cleaned(error)),
            why => why,
        };
        self.lock().answered(id, Err(why));
    }

    /// Nothing more will come: all who wait hear why.
    pub fn end(&self, why: Error) {
        let why = self.cleaned(why);
        self.lock().end(&why);
    }

    /// Nothing more will come but the answers that are kept.
    pub fn end_but(&self, kept: &[u64], why: Error) {
        let why = self.cleaned(why);
        self.lock().end_but(kept, &why);
    }

    fn cleaned(&self, error: Error) -> Error {
        match &self.clean {
            Some(clean) => clean.error(error),
            None => error,
        }
    }
}

impl State {
    /// From now on an answer with that id is kept.
    pub fn expect(&mut self, id: u64) {
        // Who is gone already has told that to those who waited then.
        let answer = self.gone.clone().map(|why| Err(Trouble::Failed(why)));
        self.waiting.insert(id, Waiting { answer, ..Waiting::default() });
    }

    /// Nobody wants that answer any more.
    pub fn forget(&mut self, id: u64) {
        self.waiting.remove(&id);
    }

    /// The answer, if it is there; else `waker` is woken when it comes.
    pub fn take(&mut self, id: u64, waker: &Waker) -> Option<Answer> {
        let gone = self.gone.clone();
        let lost = || gone.unwrap_or_else(|| Error::internal("an answer nobody waits for"));
        let Some(waiting) = self.waiting.get_mut(&id) else {
            return Some(Err(Trouble::Failed(lost())));
        };
        if let Some(answer) = waiting.answer.take() {
            self.waiting.remove(&id);
            return Some(answer);
        }
        if !waiting.wakers.iter().any(|known| known.token() == waker.token()) {
            waiting.wakers.push(waker.clone());
        }
        None
    }

    /// Who goes must not be woken any more. True if nobody else waits.
    pub fn leave(&mut self, id: u64, waker: &Waker) -> bool {
        let Some(waiting) = self.waiting.get_mut(&id) else { return true };
        waiting.wakers.retain(|known| known.token() != waker.token());
        waiting.wakers.is_empty()
    }

    pub fn take_progress(&mut self, id: u64) -> VecDeque<Value> {
        self.waiting
            .get_mut(&id)
            .map(|waiting| std::mem::take(&mut waiting.progress))
            .unwrap_or_default()
    }

    /// Whether its answer is there, or nobody wants it any more.
    pub fn is_settled(&self, id: u64) -> bool {
        self.waiting.get(&id).is_none_or(|waiting| waiting.answer.is_some())
    }

    /// Whether nobody waits for anything.
    pub fn is_quiet(&self) -> bool {
        self.waiting.values().all(|waiting| waiting.wakers.is_empty())
    }

    pub fn is_gone(&self) -> bool {
        self.gone.is_some()
    }

    /// What the server says of its own accord is heard no more: so it may have said anything.
    pub fn went_deaf(&mut self) {
        (self.deaf, self.changed) = (true, true);
    }

    pub fn take_deaf(&mut self) -> bool {
        std::mem::take(&mut self.deaf)
    }

    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn end(&mut self, why: &Error) {
        self.end_but(&[], why);
    }

    fn end_but(&mut self, kept: &[u64], why: &Error) {
        self.gone.get_or_insert_with(|| why.clone());
        let kept = |id: &u64| kept.contains(id);
        for (_, waiting) in self.waiting.iter_mut().filter(|(id, _)| !kept(id)) {
            waiting.answer.get_or_insert_with(|| Err(Trouble::Failed(why.clone())));
            waiting.wakers.drain(..).for_each(|waker| waker.wake());
        }
        self.outgoing.clear();
    }

    /// Requests of the server are answered at once, into `outgoing`.
    fn receive(&mut self, document: Value, text: &[u8]) {
        for message in rpc::read(document, text) {
            match message {
                Message::Answer { id, said } => self.answered(id, said.map_err(Trouble::Refused)),
                Message::Request { id, method, .. } => self.reply(&id, &method),
                Message::Notice { method, params } => self.noticed(&method, params),
                Message::Complaint(refusal) => self.complained(&refusal),
                Message::Junk(id) => self.puzzled(id.and_then(|id| id.ours())),
            }
        }
    }

    /// One who cannot read what we ask does not know whose question it was.
    fn complained(&mut self, refusal: &Refusal) {
        self.complain("message", &refusal.message);
        if refusal.code == PARSE_ERROR {
            let text = format!("the server cannot read what it is asked: {}", refusal.message);
            self.all_failed(&Error::new(Code::BadResponse, text));
        }
    }

    fn puzzled(&mut self, id: Option<u64>) {
        self.complain("message", "a message that is none of JSON-RPC's");
        if let Some(id) = id {
            let text = "the answer has neither a result nor an error";
            self.answered(id, Err(Trouble::Failed(Error::new(Code::BadResponse, text))));
        }
    }

    fn misheard(&mut self, outline: Outline, whose: Whose, why: &Error) -> bool {
        let mut is_loss = false;
        for item in outline.items().into_iter().filter(|item| !item.asks) {
            let id = item.id.map(|text| Id::written(&text).and_then(|id| id.ours()));
            match (id, whose) {
                (Some(id), _) => is_loss |= id.is_some_and(|id| self.failed(id, why)),
                (None, _) if !item.answers => {}
                (None, Whose::Only(id)) => is_loss |= self.failed(id, why),
                (None, Whose::Anyones) => is_loss |= self.all_failed(why),
                (None, Whose::Nobodys) => {}
            }
        }
        is_loss
    }

    /// True if somebody waits for that answer.
    fn failed(&mut self, id: u64, why: &Error) -> bool {
        let waits = !self.is_settled(id);
        self.answered(id, Err(Trouble::Failed(why.clone())));
        waits
    }

    /// True if anybody waits.
    fn all_failed(&mut self, why: &Error) -> bool {
        let ids: Vec<u64> = self.waiting.keys().copied().collect();
        ids.into_iter().filter(|id| self.failed(*id, why)).count() > 0
    }

    /// The first answer counts; those to unknown requests are nobody's.
    pub fn answered(&mut self, id: u64, answer: Answer) {
        let Some(waiting) = self.waiting.get_mut(&id) else { return };
        waiting.answer.get_or_insert(answer);
        waiting.wakers.drain(..).for_each(|waker| waker.wake());
    }

    /// We have announced no abilities, so there is little that it can ask for.
    fn reply(&mut self, id: &Id, method: &str) {
        let message = match method {
            "ping" => rpc::result(id, &json!({})),
            _ => rpc::refusal(id, METHOD_NOT_FOUND, &format!("this client has no {method}")),
        };
        if self.outgoing.len() < MOST_REPLIES {
            self.outgoing.push_back(Letter { id: None, message, calls: false });
        }
        self.wake_listener();
    }

    fn wake_listener(&self) {
        if let Some(listener) = &self.listener {
            listener.wake();
        }
    }

    fn noticed(&mut self, method: &str, params: Value) {
        match method {
            "notifications/tools/list_changed" => self.changed = true,
            "notifications/progress" => self.progressed(params),
            "notifications/message" => {
                let text = match &params["data"] {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let level = params["level"].as_str().map(str::to_owned);
                self.note(Words { text, stream: "message", level });
            }
            _ => {}
        }
    }

    /// A call's token of progress is its id.
    fn progressed(&mut self, params: Value) {
        let id = params["progressToken"].as_u64();
        let Some(waiting) = id.and_then(|id| self.waiting.get_mut(&id)) else { return };
        if waiting.progress.len() < MOST_REPORTS {
            waiting.progress.push_back(params);
            waiting.wakers.iter().for_each(Waker::wake);
        }
    }

    fn complain(&mut self, stream: &'static str, text: &str) {
        self.note(Words { text: text.to_owned(), stream, level: None });
    }

    /// A line for people.
    fn note(&mut self, mut words: Words) {
        cut(&mut words.text, LONGEST_WORDS);
        if words.stream == "stderr" {
            self.last_words.push_str(&words.text);
            self.last_words.push('\n');
            keep_end(&mut self.last_words);
        }
        if self.words.len() < MOST_WORDS {
            self.words.push_back(words);
        } else {
            self.lost += 1;
        }
        self.wake_listener();
    }

    pub fn rearm(&self) {
        if let Some(listener) = &self.listener {
            listener.rearm();
        }
    }

    /// What was said to people since the last time, and how many lines are missing.
    pub fn take_words(&mut self) -> (VecDeque<Words>, u64) {
        (std::mem::take(&mut self.words), std::mem::take(&mut self.lost))
    }

    /// The end of what it wrote to its standard error.
    pub fn last_words(&self) -> Option<String> {
        let text = self.last_words.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(boundary(text, most));
        text.push('…');
    }
}

/// Where a character begins, at most so far into the text.
fn boundary(text: &str, most: usize) -> usize {
    (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn keep_end(text: &mut String) {
    if text.len() > 2 * LAST_WORDS {
        let from = boundary(text, text.len() - LAST_WORDS);
        text.drain(..from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Notifier;

    fn mailbox() -> (Mailbox, Waker, Arc<Notifier>) {
        let notifier = Notifier::new().unwrap();
        let secrets = [Secret::new("sk-CANARY")];
        (Mailbox::new(&secrets, Waker::new(&notifier, 0)), Waker::new(&notifier, 7), notifier)
    }

    fn answer(id: u64, text: &str) -> Value {
        json!({ "jsonrpc": "2.0", "id": id, "result": { "text": text } })
    }

    fn receive(mailbox: &Mailbox, document: &Value) {
        mailbox.receive(document.clone(), document.to_string().as_bytes());
    }

    #[test]
    fn answers_wake_those_who_wait_and_only_the_first_counts() {
        let (mailbox, waker, notifier) = mailbox();
        mailbox.lock().expect(1);
        assert!(mailbox.lock().take(1, &waker).is_none());
        receive(&mailbox, &answer(9, "nobody's"));
        assert_eq!(notifier.take(), None);
        receive(&mailbox, &json!([answer(1, "my key is sk-CANARY"), answer(1, "second")]));
        assert_eq!(notifier.take(), Some(7));
        let got = mailbox.lock().take(1, &waker).unwrap().unwrap();
        assert_eq!(got["text"], "my key is ***");
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_the_loss_of_whose_it_was() {
        let (mailbox, waker, _notifier) = mailbox();
        let why = Error::new(Code::BadResponse, "cut off");
        let lost = |text: &str, whose| {
            (1..=2).for_each(|id| mailbox.lock().expect(id));
            let is_loss = mailbox.misheard(Outline::of(text.as_bytes()), whose, why.clone());
            let failed = [1, 2].map(|id| mailbox.lock().take(id, &waker).is_some());
            assert_eq!(is_loss, failed != [false; 2], "{text}");
            failed
        };
        assert_eq!(lost("{\"id\":1,\"result\":{", Whose::Anyones), [true, false]);
        assert_eq!(lost("{\"id\":\"2\",\"result\":{", Whose::Only(1)), [false, true]);
        assert_eq!(lost("{\"result\":{", Whose::Anyones), [true, true]);
        assert_eq!(lost("{\"result\":{", Whose::Only(2)), [false, true]);
        for text in ["{\"method\":1,\"id\":1", "{\"id\":9,\"result\":{", "{\"jsonrpc\":", "print"] {
            assert_eq!(lost(text, Whose::Anyones), [false, false]);
        }
        assert_eq!(lost("{\"result\":{", Whose::Nobodys), [false, false]);
    }

    #[test]
    fn who_comes_after_the_end_hears_of_it_as_well() {
        let (mailbox, waker, _notifier) = mailbox();
        mailbox.lock().expect(1);
        mailbox.end(Error::new(Code::IoError, "no such program"));
        mailbox.lock().expect(2);
        for id in [1, 2, 3] {
            let answer = mailbox.lock().take(id, &waker);
            assert!(matches!(answer, Some(Err(Trouble::Failed(e))) if e.code() == Code::IoError));
        }
    }

    #[test]
    fn an_answer_that_is_kept_may_come_after_the_end() {
        let (mailbox, waker, _notifier) = mailbox();
        (1..=2).for_each(|id| mailbox.lock().expect(id));
        mailbox.end_but(&[2], Error::new(Code::Network, "it reads no more"));
        assert!(mailbox.lock().is_gone());
        assert!(matches!(mailbox.lock().take(1, &waker), Some(Err(_))));
        assert!(mailbox.lock().take(2, &waker).is_none());
        receive(&mailbox, &answer(2, "late"));
        assert_eq!(mailbox.lock().take(2, &waker).unwrap().unwrap()["text"], "late");
    }

    #[test]
    fn words_for_people_are_bounded_and_masked() {
        let (mailbox, _waker, _notifier) = mailbox();
        for _ in 0..MOST_WORDS + 5 {
            mailbox.note("stderr", "sk-CANARY ".repeat(2000).as_bytes());
        }
        let (words, lost) = mailbox.lock().take_words();
        assert_eq!((words.len(), lost), (MOST_WORDS, 5));
        assert!(words.iter().all(|line| line.text.len() < LONGEST_WORDS + 10));
        assert!(!format!("{words:?}{:?}", mailbox.lock().last_words()).contains("CANARY"));
    }
}
