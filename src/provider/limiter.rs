//! How many requests and tokens a provider gets in a minute, and who is next.
//!
//! In no minute is more sent than allowed, wherever that minute begins: what was sent is kept for a
//! minute. Those who wait go in the order in which they came.
//!
//! ```
//! use zigllms::clock::Moment;
//! use zigllms::provider::limiter::{Allowance, Window};
//! let allowed = Allowance { requests: Some(1), tokens: None };
//! let mut window = Window::default();
//! assert_eq!(window.soonest(Moment::START, allowed, 0), Some(Moment::START));
//! window.take(Moment::START, 0);
//! let minute = Moment::START.after_ms(60_000);
//! assert_eq!(window.soonest(Moment::START.after_ms(7), allowed, 0), Some(minute));
//! ```

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::rc::Rc;

use crate::clock::Moment;
use crate::error::{Code, Error, Result};
use crate::net::Waker;
use crate::store::Shared;

pub mod shared;

use shared::{Shares, Verdict};

const MINUTE_MS: u64 = 60_000;

/// What is allowed in a minute; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    pub requests: Option<u64>,
    pub tokens: Option<u64>,
}

/// The option `rate_limit`, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    pub allowed: Allowance,
    /// Requests of different keys are counted apart.
    pub key: String,
    /// Fail at once instead of waiting.
    pub raises: bool,
    /// Counted in the store, for all who share it.
    pub shared: bool,
}

/// What was sent in the last minute.
#[derive(Clone, Debug, Default)]
pub struct Window {
    taken: VecDeque<Taken>,
    /// Of all of them together.
    tokens: u64,
    /// How many there have ever been.
    count: u64,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    at: Moment,
    tokens: u64,
}

impl Window {
    /// From when on a request of so many tokens may be sent; `None`: never, it is too large.
    pub fn soonest(&mut self, now: Moment, allowed: Allowance, tokens: u64) -> Option<Moment> {
        self.forget(now);
        if allowed.tokens.is_some_and(|most| tokens > most) {
            return None;
        }
        let gone = self.too_many(allowed.requests).max(self.too_much(allowed.tokens, tokens));
        let last = gone.checked_sub(1).and_then(|at| self.taken.get(at));
        Some(last.map_or(now, |taken| taken.at.after_ms(MINUTE_MS)))
    }

    /// How many of the oldest must be gone before there is room for one more.
    fn too_many(&self, most: Option<u64>) -> usize {
        let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        (self.taken.len() + 1).saturating_sub(most)
    }

    /// The same for so many tokens.
    fn too_much(&self, most: Option<u64>, tokens: u64) -> usize {
        let Some(most) = most else { return 0 };
        let (mut left, mut gone) = (self.tokens, 0);
        for taken in &self.taken {
            if left.saturating_add(tokens) <= most {
                break;
            }
            left -= taken.tokens;
            gone += 1;
        }
        gone
    }

    fn forget(&mut self, now: Moment) {
        let over = |taken: &Taken| taken.at.after_ms(MINUTE_MS) <= now;
        while let Some(taken) = self.taken.front().copied().filter(over) {
            self.taken.pop_front();
            self.tokens -= taken.tokens;
        }
    }

    /// Counts a request that is sent now; gives a number to correct it by.
    pub fn take(&mut self, now: Moment, tokens: u64) -> u64 {
        self.taken.push_back(Taken { at: now, tokens });
        self.tokens += tokens;
        self.count += 1;
        self.count
    }

    /// What request `number` has turned out to take.
    pub fn correct(&mut self, number: u64, tokens: u64) {
        let first = self.count - self.taken.len() as u64 + 1;
        let at = number.checked_sub(first).and_then(|at| usize::try_from(at).ok());
        if let Some(taken) = at.and_then(|at| self.taken.get_mut(at)) {
            self.tokens = self.tokens - taken.tokens + tokens;
            taken.tokens = tokens;
        }
    }

    fn is_empty(&mut self, now: Moment) -> bool {
        self.forget(now);
        self.taken.is_empty()
    }
}

/// What was sent, and who waits to send.
#[derive(Debug, Default)]
pub struct Limiter {
    window: Window,
    line: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    waker: Waker,
    allowed: Allowance,
    tokens: u64,
}

impl Limiter {
    fn position(&self, waker: &Waker) -> Option<usize> {
        self.line.iter().position(|waiting| waiting.waker.token() == waker.token())
    }

    /// Whether nobody is before this one.
    fn is_first(&self, waker: &Waker) -> bool {
        self.line.front().is_none_or(|first| first.waker.token() == waker.token())
    }

    fn leave(&mut self, waker: &Waker) {
        let Some(at) = self.position(waker) else { return };
        self.line.remove(at);
        if at == 0 {
            self.wake_first();
        }
    }

    /// Whoever is first now knows how long it has to wait, or goes.
    fn wake_first(&self) {
        if let Some(first) = self.line.front() {
            first.waker.wake();
        }
    }

    /// When a request could be sent after those that wait already.
    fn foresee(&self, now: Moment, allowed: Allowance, tokens: u64) -> Moment {
        let (mut window, mut at) = (self.window.clone(), now);
        for waiting in &self.line {
            at = window.soonest(at, waiting.allowed, waiting.tokens).unwrap_or(at);
            window.take(at, waiting.tokens);
        }
        window.soonest(at, allowed, tokens).unwrap_or(at)
    }
}

/// The limiters of one provider, by key.
#[derive(Clone, Default)]
pub struct Limiters(Rc<RefCell<HashMap<String, Rc<RefCell<Limiter>>>>>);

impl fmt::Debug for Limiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Limiters({})", self.0.borrow().len())
    }
}

/// From so many keys on those that nobody uses any more are dropped before another one is added.
const MANY: usize = 64;

impl Limiters {
    /// `shares` is the part of it that lies in the store.
    pub fn gate(&self, rate: &Rate, now: Moment, shares: Option<Shares>) -> Gate {
        let mut all = self.0.borrow_mut();
        if all.len() >= MANY && !all.contains_key(&rate.key) {
            all.retain(|_, one| {
                Rc::strong_count(one) > 1 || !one.borrow_mut().window.is_empty(now)
            });
        }
        let limiter = all.entry(rate.key.clone()).or_default().clone();
        let (allowed, raises) = (rate.allowed, rate.raises);
        Gate { limiter, allowed, raises, waiting: None, taken: None, shares }
    }
}

/// The way of one call past a limiter. Dropping it gives up the place in the line.
#[derive(Debug)]
pub struct Gate {
    limiter: Rc<RefCell<Limiter>>,
    allowed: Allowance,
    raises: bool,
    waiting: Option<Waker>,
    /// Number of the latest request in the window.
    taken: Option<u64>,
    shares: Option<Shares>,
}

/// What a call at a gate has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    Go,
    /// Until the moment, or until it is woken: others are before it.
    Wait(Option<Moment>),
}

impl Gate {
    /// Asks to send a request of so many tokens now. `store` is where others count, too.
    pub fn pass(
        &mut self,
        now: Moment,
        waker: &Waker,
        tokens: u64,
        store: impl FnOnce() -> Shared,
    ) -> Result<Pass> {
        let limiter = self.limiter.clone();
        let mut limiter = limiter.borrow_mut();
        let Some(at) = limiter.window.soonest(now, self.allowed, tokens) else {
            drop(limiter);
            self.leave();
            return Err(too_large(tokens, self.allowed));
        };
        let first = limiter.is_first(waker);
        if first && at <= now {
            match self.others(waker, tokens, store)? {
                Verdict::Go => {
                    self.taken = Some(limiter.window.take(now, tokens));
                    drop(limiter);
                    self.leave();
                    return Ok(Pass::Go);
                }
                Verdict::After(ms) if self.raises => return Err(limited(now, now.after_ms(ms))),
                Verdict::After(ms) => {
                    self.line_up(&mut limiter, waker, tokens);
                    return Ok(Pass::Wait(Some(now.after_ms(ms))));
                }
                Verdict::Asking => {
                    self.line_up(&mut limiter, waker, tokens);
                    return Ok(Pass::Wait(None));
                }
            }
        }
        if self.raises {
            return Err(limited(now, limiter.foresee(now, self.allowed, tokens)));
        }
        self.line_up(&mut limiter, waker, tokens);
        Ok(Pass::Wait(first.then_some(at)))
    }

    /// What those say with whom the limit is shared.
    fn others(
        &mut self,
        waker: &Waker,
        tokens: u64,
        store: impl FnOnce() -> Shared,
    ) -> Result<Verdict> {
        match &mut self.shares {
            Some(shares) => shares.ask(store, waker, self.allowed, tokens),
            None => Ok(Verdict::Go),
        }
    }

    fn line_up(&mut self, limiter: &mut Limiter, waker: &Waker, tokens: u64) {
        if limiter.position(waker).is_none() {
            let allowed = self.allowed;
            limiter.line.push_back(Waiting { waker: waker.clone(), allowed, tokens });
            self.waiting = Some(waker.clone());
        }
    }

    /// The latest request took so many tokens. Where those are fewer than expected, others may go.
    pub fn settle(&mut self, tokens: u64) {
        if let Some(number) = self.taken.take() {
            let mut limiter = self.limiter.borrow_mut();
            limiter.window.correct(number, tokens);
            limiter.wake_first();
            self.shares.iter_mut().for_each(|shares| shares.correct(tokens));
        }
    }

    fn leave(&mut self) {
        if let Some(waker) = self.waiting.take() {
            self.limiter.borrow_mut().leave(&waker);
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.leave();
    }
}

fn limited(now: Moment, at: Moment) -> Error {
    let ms = now.until(at).as_millis() as u64 + 1;
    let message = format!("rate_limit: the next request may be sent in {ms} ms");
    Error::new(Code::RateLimited, message).with(|f| f.retry_after_ms = Some(ms))
}

fn too_large(tokens: u64, allowed: Allowance) -> Error {
    let most = allowed.tokens.unwrap_or_default();
    let message = format!(
        "rate_limit: the request takes about {tokens} tokens (max_tokens included), more than \
         tokens_per_minute ({most})"
    );
    Error::new(Code::RateLimited, message).with(|f| f.retryable = Some(false))
}
