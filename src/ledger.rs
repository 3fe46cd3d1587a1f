//! What a run has used with everything inside it, and what it may use. A request is entered into
//! the ledgers of all runs around it, so that each sum is exact at any moment.

use serde_json::Value;

use crate::chat::Usage;
use crate::clock::{Clock, Moment};

#[derive(Clone, Debug)]
pub struct Ledger {
    pub usage: Usage,
    /// Questions that models were asked.
    pub steps: u64,
    limits: Limits,
    started: Moment,
    /// Time that the run took before it stopped and went on.
    pub earlier_ms: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Limits {
    tokens: Option<f64>,
    steps: Option<f64>,
    ms: Option<f64>,
    cost: Option<f64>,
}

impl Limits {
    fn of(budget: Option<&Value>) -> Limits {
        let limit = |key: &str| budget.and_then(|budget| budget.get(key)).and_then(Value::as_f64);
        Limits {
            tokens: limit("max_total_tokens"),
            steps: limit("max_steps"),
            ms: limit("max_ms"),
            cost: limit("max_cost"),
        }
    }
}

impl Ledger {
    /// `budget`: the option of that name.
    pub fn new(budget: Option<&Value>, started: Moment) -> Ledger {
        let limits = Limits::of(budget);
        Ledger { usage: Usage::default(), steps: 0, limits, started, earlier_ms: 0.0 }
    }

    /// What of the budget is used up, in words.
    pub fn over(&self, clock: &Clock) -> Option<String> {
        let used = |name: &str, limit: Option<f64>, spent: f64, digits: Option<usize>| {
            let limit = limit.filter(|limit| spent >= *limit)?;
            let spent = digits.map_or_else(|| spent.to_string(), |n| format!("{spent:.n$}"));
            Some(format!("budget.{name} is used up ({spent} of {limit})"))
        };
        let Limits { tokens, steps, ms, cost } = self.limits;
        used("max_total_tokens", tokens, self.usage.total_tokens() as f64, Some(0))
            .or_else(|| used("max_steps", steps, self.steps as f64, Some(0)))
            .or_else(|| used("max_ms", ms, ms.map_or(0.0, |_| self.elapsed_ms(clock)), Some(0)))
            .or_else(|| used("max_cost", cost, self.usage.cost.unwrap_or(0.0), None))
    }

    /// When its time is over.
    pub fn end(&self) -> Option<Moment> {
        self.limits.ms.map(|ms| self.started.after_float_ms(ms - self.earlier_ms))
    }

    pub fn elapsed_ms(&self, clock: &Clock) -> f64 {
        self.earlier_ms + clock.now().ms_since(self.started)
    }

    /// The budget of a run that goes on may be another one.
    pub fn limit(&mut self, budget: Option<&Value>) {
        self.limits = Limits::of(budget);
    }

    pub fn limits_cost(&self) -> bool {
        self.limits.cost.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ledger(budget: &Value) -> (Clock, Ledger) {
        let clock = Clock::default();
        let started = clock.now();
        (clock, Ledger::new(Some(budget), started))
    }

    #[test]
    fn a_limit_is_over_when_it_is_reached() {
        let (clock, mut ledger) = ledger(&json!({ "max_total_tokens": 10, "max_steps": 2 }));
        ledger.usage.add(&Usage { prompt_tokens: 6, completion_tokens: 3, ..Usage::default() });
        ledger.steps = 1;
        assert_eq!(ledger.over(&clock), None);
        ledger.usage.add(&Usage { completion_tokens: 1, ..Usage::default() });
        let over = ledger.over(&clock).unwrap();
        assert_eq!(over, "budget.max_total_tokens is used up (10 of 10)");
        assert!(!ledger.limits_cost());
    }

    #[test]
    fn time_before_a_stop_counts() {
        let (clock, mut ledger) = ledger(&json!({ "max_ms": 100_000 }));
        assert_eq!(ledger.over(&clock), None);
        ledger.earlier_ms = 100_000.0;
        assert!(ledger.over(&clock).unwrap().contains("max_ms"));
        assert!(ledger.end().unwrap() <= clock.now());
    }

    #[test]
    fn without_a_budget_nothing_is_ever_over() {
        let (clock, mut ledger) = ledger(&Value::Null);
        ledger.steps = u64::MAX;
        assert_eq!((ledger.over(&clock), ledger.end()), (None, None));
    }
}
