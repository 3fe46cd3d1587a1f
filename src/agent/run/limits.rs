//! What bounds a run: rounds and budget.

use serde_json::Value;

use super::Run;
use crate::agent::record;
use crate::error::{Code, Error, Result};
use crate::ledger::Ledger;
use crate::provider::Provider;
use crate::runtime::Runtime;
use crate::step::Step;
use crate::value::Data;

impl Run {
    pub(super) fn max_iterations(&self) -> u32 {
        self.plan.options.get("max_iterations").and_then(Value::as_f64).map_or(10, |n| n as u32)
    }

    /// What limit of the budget is used up, in words.
    pub(super) fn over_budget(&self, runtime: &Runtime) -> Option<String> {
        self.ledger.over(&runtime.clock)
    }

    /// A limit of costs needs a price: without one nothing would ever be used up.
    pub(super) fn check_prices(&self, runtime: &mut Runtime) -> Result<()> {
        let limited = |ledger: &mut Ledger| ledger.limits_cost().then_some(());
        if !self.ledger.limits_cost() && runtime.tasks.ledgers(self.me, limited).is_none() {
            return Ok(());
        }
        let whom = &self.plan.whom;
        let named = self.plan.options.get("model").and_then(Value::as_str);
        let provider = runtime.providers.ask(whom)?;
        check_price(provider, named)?;
        for other in provider.reach.under(&self.plan.reach).fallback() {
            // One that is gone by now will not be asked.
            let Ok(provider) = runtime.providers.ask(other.whom.as_ref().unwrap_or(whom)) else {
                continue;
            };
            check_price(provider, other.model.as_deref())?;
        }
        Ok(())
    }

    /// Its time is over before its turn has come: there is nothing to return.
    pub(super) fn refuse_late(&self, runtime: &Runtime) -> Result<()> {
        let Some(over) = self.over_budget(runtime) else { return Ok(()) };
        Err(self.with_partial(runtime, Error::new(Code::BudgetExceeded, over)))
    }

    /// The budget is used up, perhaps in the middle of an answer that broke off with that error.
    pub(super) fn exceeded(
        &mut self,
        runtime: &mut Runtime,
        over: &str,
        broken: Option<&Error>,
    ) -> Result<Step> {
        if let Some(Data::Record(partial)) = broken.and_then(|e| e.fields().partial.as_ref()) {
            self.broken = partial.get("content").cloned();
        }
        self.limit(runtime, Code::BudgetExceeded, "budget_exceeded", over, "raise")
    }

    /// A limit was reached: raise or return, as `on_limit` or else the limit itself says.
    pub(super) fn limit(
        &mut self,
        runtime: &mut Runtime,
        code: Code,
        reason: &'static str,
        text: &str,
        usual: &str,
    ) -> Result<Step> {
        let choice = self.plan.options.get("on_limit").and_then(Value::as_str).unwrap_or(usual);
        if choice == "raise" {
            let partial = record::response(self, runtime, reason);
            return Err(Error::new(code, text).with(|f| f.partial = Some(partial)));
        }
        self.finish(runtime, reason)
    }
}

fn check_price(provider: &Provider, model: Option<&str>) -> Result<()> {
    let model = model.map_or_else(|| provider.model(), str::to_owned);
    if provider.prices().know(&model) {
        return Ok(());
    }
    if model.is_empty() {
        return Err(Error::invalid("budget.max_cost: name the model, it has to have a price"));
    }
    let id = &provider.id;
    Err(Error::invalid(format!(
        "budget.max_cost: provider {id:?} has no price for model {model:?}: \
         provider.configure({id:?}, {{prices={{[{model:?}]={{input=…, output=…}}}}}})"
    )))
}
