//! Whether a failed request is worth another, and after how long. Pure: the caller waits.
//!
//! ```
//! use zigllms::error::{Code, Error};
//! use zigllms::provider::retry::{Retry, Verdict};
//! let busy = Error::new(Code::Overloaded, "busy");
//! assert_eq!(Retry::default().decide(1, &busy, None, 0.0), Verdict::After(500));
//! assert_eq!(Retry::default().decide(3, &busy, None, 0.0), Verdict::GiveUp);
//! ```

use crate::error::Error;
use crate::net::Head;

/// A server that asks for a longer pause is not waited for.
pub const LONGEST_WAIT_MS: u64 = 120_000;

/// A server may ask for any number; thirty thousand years are told as what they are.
const MOST_MS: f64 = 1e15;

/// The contract's table of options.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    pub max_attempts: u32,
    pub initial_delay_ms: u64,
    pub max_delay_ms: u64,
    pub multiplier: f64,
    pub jitter: bool,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            max_attempts: 3,
            initial_delay_ms: 500,
            max_delay_ms: 8000,
            multiplier: 2.0,
            jitter: true,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Ask again after so many milliseconds.
    After(u64),
    GiveUp,
}

impl Retry {
    /// `retry = false`.
    pub fn never() -> Retry {
        Retry { max_attempts: 1, ..Retry::default() }
    }

    /// After request number `attempt` (from 1) failed before anything of its answer was handed
    /// on; an answer that has begun is never asked for again. `random` lies in 0..1.
    pub fn decide(&self, attempt: u32, error: &Error, head: Option<&Head>, random: f64) -> Verdict {
        if attempt >= self.max_attempts || !worth_it(error, head) {
            return Verdict::GiveUp;
        }
        match error.fields().retry_after_ms.or_else(|| head.and_then(server_delay)) {
            Some(delay) if delay > LONGEST_WAIT_MS => Verdict::GiveUp,
            Some(delay) => Verdict::After(delay),
            None => Verdict::After(self.backoff(attempt, random)),
        }
    }

    fn backoff(&self, attempt: u32, random: f64) -> u64 {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.initial_delay_ms as f64 * self.multiplier.max(0.0).powi(exponent);
        let delay = grown.min(self.max_delay_ms as f64);
        let spread = if self.jitter { 1.0 - 0.25 * random.clamp(0.0, 1.0) } else { 1.0 };
        (delay * spread).round() as u64
    }
}

/// The server's own word wins; else the kind of error decides, and 408 and 409 besides.
fn worth_it(error: &Error, head: Option<&Head>) -> bool {
    match head.and_then(|head| head.header("x-should-retry")) {
        Some("true") => return true,
        Some("false") => return false,
        _ => {}
    }
    let temporary = matches!(error.fields().status, Some(408 | 409));
    error.retryable() || (temporary && error.fields().retryable != Some(false))
}

/// How long the server asks to wait: `retry-after-ms`, else `retry-after` in seconds or as a date.
/// A date counts from the server's own `date`, so that no two clocks have to agree.
pub fn server_delay(head: &Head) -> Option<u64> {
    let number = |name: &str| head.header(name)?.trim().parse::<f64>().ok();
    let ms = number("retry-after-ms")
        .or_else(|| number("retry-after").map(|seconds| seconds * 1e3))
        .or_else(|| until(head));
    ms.filter(|ms| ms.is_finite() && *ms > 0.0).map(|ms| ms.ceil().min(MOST_MS) as u64)
}

fn until(head: &Head) -> Option<f64> {
    let date = |name: &str| httpdate::parse_http_date(head.header(name)?.trim()).ok();
    let wait = date("retry-after")?.duration_since(date("date")?).ok()?;
    Some(wait.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Phase};

    fn head(headers: &[(&str, &str)]) -> Head {
        let headers = headers.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Head { status: 429, headers }
    }

    fn error(code: Code, status: u16) -> Error {
        Error::new(code, "x").with(|f| f.status = Some(status))
    }

    #[test]
    fn delays_grow_to_a_limit_and_are_spread_by_a_quarter() {
        let retry = Retry { max_attempts: 99, ..Retry::default() };
        let busy = error(Code::Overloaded, 503);
        let after = |attempt, random| retry.decide(attempt, &busy, None, random);
        let delays: Vec<_> = (1..7).map(|attempt| after(attempt, 0.0)).collect();
        assert_eq!(delays, [500, 1000, 2000, 4000, 8000, 8000].map(Verdict::After));
        assert_eq!(after(1, 1.0), Verdict::After(375));
        let steady = Retry { jitter: false, ..retry };
        assert_eq!(steady.decide(90, &busy, None, 1.0), Verdict::After(8000));
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let retries =
            |error: Error| Retry::default().decide(1, &error, None, 0.0) != Verdict::GiveUp;
        for (code, status) in [
            (Code::RateLimited, 429),
            (Code::ServerError, 500),
            (Code::Overloaded, 529),
            (Code::BadRequest, 408),
            (Code::BadRequest, 409),
        ] {
            assert!(retries(error(code, status)), "{status}");
        }
        for status in [400, 404, 413, 422] {
            assert!(!retries(error(Code::BadRequest, status)), "{status}");
        }
        assert!(!retries(error(Code::RateLimited, 429).with(|f| f.retryable = Some(false))));
        assert!(!retries(error(Code::Auth, 401)));
        assert!(retries(Error::new(Code::Network, "reset")));
        assert!(retries(Error::timeout(Phase::Connect, "x")));
        assert!(!retries(Error::timeout(Phase::Total, "x")));
    }

    #[test]
    fn the_servers_word_wins() {
        let decide = |error, headers| Retry::default().decide(1, error, Some(&head(headers)), 0.0);
        let bad = error(Code::BadRequest, 400);
        let busy = error(Code::Overloaded, 503);
        assert_eq!(decide(&bad, &[("x-should-retry", "true")]), Verdict::After(500));
        assert_eq!(decide(&busy, &[("X-Should-Retry", "false")]), Verdict::GiveUp);
    }

    #[test]
    fn the_servers_delay_is_kept_unless_it_is_too_long() {
        let decide = |headers: &[(&str, &str)]| {
            Retry::default().decide(1, &error(Code::RateLimited, 429), Some(&head(headers)), 0.0)
        };
        let both = [("retry-after", "9"), ("retry-after-ms", "20.5")];
        assert_eq!(decide(&both), Verdict::After(21));
        assert_eq!(decide(&[("retry-after", "1.5")]), Verdict::After(1500));
        assert_eq!(decide(&[("retry-after", "121")]), Verdict::GiveUp);
        assert_eq!(server_delay(&head(&[("retry-after", "1e99")])), Some(MOST_MS as u64));
        assert_eq!(decide(&[("retry-after", "0")]), Verdict::After(500));
        assert_eq!(decide(&[("retry-after", "soon")]), Verdict::After(500));
        let dates = [
            ("date", "Wed, 21 Oct 2015 07:28:00 GMT"),
            ("retry-after", "Wed, 21 Oct 2015 07:28:03 GMT"),
        ];
        assert_eq!(decide(&dates), Verdict::After(3000));
    }

    #[test]
    fn a_delay_the_error_carries_counts_too() {
        let busy = error(Code::RateLimited, 429).with(|f| f.retry_after_ms = Some(130_000));
        assert_eq!(Retry::default().decide(1, &busy, None, 0.0), Verdict::GiveUp);
        assert_eq!(Retry::never().decide(1, &error(Code::Network, 0), None, 0.0), Verdict::GiveUp);
    }
}
