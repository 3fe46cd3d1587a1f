//! Finds the entries whose embeddings are most like a vector, or a text.
//!
//! Exact: every embedding is compared. Those of the process are gone through on a thread, unless
//! they are few; those of a store come page by page, and while one is compared the store reads the
//! next.

mod aside;
mod embed;
mod sieve;

use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::store::{Answer, Pending, Question, Range, Record, Space};
use crate::value::Data;

use super::vectors::{Block, Direction};
use super::{Entry, Scope, address};

use aside::Aside;
use sieve::{Found, Hit, Sieve};

pub use embed::{Embed, is_nowhere};
pub use sieve::Wanted;

/// Numbers that are compared on Lua's thread: about a millisecond's worth.
const AT_ONCE: usize = 1 << 20;

/// Entries of a store compared at once.
const PAGE: usize = 500;

/// What changes while it is searched is searched again so often.
const TRIES: u32 = 4;

type Page = Vec<(Vec<u8>, Record)>;

/// How a result shows what was found: its whole key, the entry, the score.
pub type Show = fn(&[u8], &Entry, f64) -> Data;

pub enum Query {
    Vector(Direction),
    /// What asks a provider for the vector of a text.
    Text(Operation),
}

pub struct Search {
    wanted: Wanted,
    show: Show,
    /// Until it has been asked.
    ask: Option<Operation>,
    direction: Option<Direction>,
    tries: u32,
    /// Somewhere between here and `comparing`.
    sieve: Option<Sieve>,
    comparing: Option<Aside<Sieve>>,
    reading: Option<Pending>,
    /// Read, and not yet compared.
    page: Option<Page>,
    /// What the store is asked for next.
    range: Range,
}

impl Search {
    pub fn new(query: Query, wanted: Wanted, show: Show) -> Search {
        let (direction, ask) = match query {
            Query::Vector(direction) => (Some(direction), None),
            Query::Text(ask) => (None, Some(ask)),
        };
        let (sieve, comparing, reading, page) = (None, None, None, None);
        let prefix = wanted.selection.prefix.clone();
        let range = Range { space: Space::Memory, prefix, after: None, limit: PAGE };
        Search { wanted, show, ask, direction, tries: 0, sieve, comparing, reading, page, range }
    }

    pub fn operation(self) -> Operation {
        Operation::new("memory_search", self)
    }

    /// The result, if it takes no time and nobody has to be asked.
    pub fn at_once(&mut self, runtime: &mut Runtime) -> Result<Option<Data>> {
        let Some(direction) = self.direction.clone() else { return Ok(None) };
        let blocks = self.blocks(runtime);
        let numbers =
            blocks.iter().map(|block| block.len()).sum::<usize>() * direction.dimensions();
        if self.is_stored(runtime) || numbers > AT_ONCE {
            return Ok(None);
        }
        let mut sieve = Sieve::new(self.wanted.clone(), direction);
        sieve.all(&blocks);
        self.conclude(runtime, sieve)
    }

    fn is_stored(&self, runtime: &mut Runtime) -> bool {
        self.wanted.selection.may_be_stored() && runtime.backing().is_some()
    }

    /// The vectors of the process, as they are now.
    fn blocks(&self, runtime: &mut Runtime) -> Vec<Block> {
        let now = runtime.clock.unix_ms();
        self.wanted.selection.vectors(&mut runtime.memory, now)
    }

    fn begin(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let Some(direction) = self.direction.clone() else { return self.ask() };
        let mut sieve = Sieve::new(self.wanted.clone(), direction);
        let blocks = self.blocks(runtime);
        let waker = runtime.tasks.waker(me)?;
        self.comparing = Some(Aside::start(&runtime.clock, waker, move || {
            sieve.all(&blocks);
            Ok(sieve)
        }));
        if self.is_stored(runtime) {
            self.read(runtime, me)?;
        }
        self.go_on(runtime, me)
    }

    fn ask(&mut self) -> Result<Step> {
        let ask = self.ask.take().ok_or_else(|| Error::internal("asked twice"))?;
        Ok(Step::Run(ask))
    }

    fn asked(&mut self, outputs: Vec<Result<Output>>) -> Result<()> {
        let vector = embed::vectors_of(outputs)?.into_iter().next().unwrap_or_default();
        let nowhere =
            || Error::new(crate::error::Code::BadResponse, "the embedding of the query is zero");
        self.direction = Some(Direction::of(vector).ok_or_else(nowhere)?);
        Ok(())
    }

    /// Asks the store for the next page.
    fn read(&mut self, runtime: &mut Runtime, me: Token) -> Result<()> {
        let question = Question::Scan(self.range.clone());
        self.reading = Some(runtime.ask_store(me, question)?);
        Ok(())
    }

    fn go_on(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        if let Some(done) = self.comparing.as_ref().and_then(Aside::take) {
            self.comparing = None;
            self.sieve = Some(done?);
        }
        if let Some(answer) = self.reading.as_ref().and_then(Pending::take) {
            self.reading = None;
            self.page = Some(self.has_read(runtime, answer?)?);
        }
        match (self.sieve.take(), self.page.take()) {
            (Some(sieve), Some(page)) => self.compare(runtime, me, sieve, page),
            (Some(sieve), None) if self.reading.is_none() => self.end(runtime, me, sieve),
            (sieve, page) => {
                (self.sieve, self.page) = (sieve, page);
                Ok(Step::Wait(None))
            }
        }
    }

    /// What the process has under the same key comes first.
    fn has_read(&mut self, runtime: &mut Runtime, answer: Answer) -> Result<Page> {
        let mut page = answer.page()?;
        self.range.after = self.range.next(&page);
        page.retain(|(key, _)| here(runtime, key).is_none());
        Ok(page)
    }

    fn compare(
        &mut self,
        runtime: &mut Runtime,
        me: Token,
        mut sieve: Sieve,
        page: Page,
    ) -> Result<Step> {
        let waker = runtime.tasks.waker(me)?;
        self.comparing = Some(Aside::start(&runtime.clock, waker, move || {
            for (key, record) in page {
                sieve.stored(key, Entry::from_record(&record)?);
            }
            Ok(sieve)
        }));
        if self.range.after.is_some() {
            self.read(runtime, me)?;
        }
        Ok(Step::Wait(None))
    }

    fn end(&mut self, runtime: &mut Runtime, me: Token, sieve: Sieve) -> Result<Step> {
        match self.conclude(runtime, sieve)? {
            Some(data) => Ok(Step::Done(Output::Data(data))),
            None => self.begin(runtime, me),
        }
    }

    /// The result; none if what was found is no longer what it was.
    fn conclude(&mut self, runtime: &mut Runtime, sieve: Sieve) -> Result<Option<Data>> {
        if let Some((query, entries)) = sieve.mismatch() {
            return Err(Error::invalid(format!(
                "query: it is a vector of {query} numbers, and the embeddings it could be compared with \
                 have {entries}: they are not of the same model"
            )));
        }
        self.tries += 1;
        let hits = sieve.into_hits();
        let all = hits.len();
        let shown: Vec<Data> = hits.iter().filter_map(|hit| self.shown(runtime, hit)).collect();
        let whole = shown.len() == all || self.tries >= TRIES;
        Ok(whole.then_some(Data::List(shown)))
    }

    fn shown(&self, runtime: &mut Runtime, hit: &Hit) -> Option<Data> {
        match &hit.found {
            Found::Stored(entry) => Some((self.show)(&hit.key, entry, hit.score)),
            Found::Here(version) => {
                let entry = here(runtime, &hit.key).filter(|entry| entry.version == *version)?;
                Some((self.show)(&hit.key, &entry, hit.score))
            }
        }
    }
}

/// The entry that a key has in the process; nobody has used it.
fn here(runtime: &mut Runtime, key: &[u8]) -> Option<Entry> {
    let now = runtime.clock.unix_ms();
    let scope = if key.starts_with(&address::GLOBAL) { Scope::Global } else { Scope::Session };
    runtime.memory.within(scope, |space| space.peek(key, now).cloned())
}

impl Machine for Search {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start => self.begin(runtime, me),
            Outcome::Finished(outputs) => {
                self.asked(outputs)?;
                self.begin(runtime, me)
            }
            Outcome::Stop(stop) => Err(stopped(&stop, "the search")),
            _ => self.go_on(runtime, me),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
