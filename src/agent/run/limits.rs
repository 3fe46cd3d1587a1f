//! What bounds a run: rounds and budget.

use serde_json::Value;

use super::Run;
use crate::agent::record;
use crate::error::{Code, Error, Result};
use crate::provider::Provider;
use crate::runtime::Runtime;
use crate::step::Step;

impl Run {
    pub(super) fn max_iterations(&self) -> u32 {
        self.plan.options.get("max_iterations").and_then(Value::as_f64).map_or(10, |n| n as u32)
    }

    /// What limit of the budget is used up, in words.
    pub(super) fn over_budget(&self, runtime: &Runtime) -> Option<String> {
        let budget = self.plan.options.get("budget")?;
        let limit = |key: &str| budget.get(key).and_then(Value::as_f64);
        let spent_ms = self.elapsed_ms(runtime);
        let spent = [
            ("max_total_tokens", self.usage.total_tokens() as f64),
            ("max_steps", f64::from(self.iteration)),
            ("max_ms", spent_ms),
            ("max_cost", self.usage.cost.unwrap_or(0.0)),
        ];
        let over =
            spent.into_iter().find(|(key, spent)| limit(key).is_some_and(|limit| *spent >= limit));
        over.map(|(key, spent)| {
            let spent = if key == "max_cost" { spent.to_string() } else { format!("{spent:.0}") };
            format!("budget.{key} is used up ({spent} of {})", limit(key).unwrap_or_default())
        })
    }

    /// A limit of costs needs a price: without one nothing would ever be used up.
    pub(super) fn check_prices(&self, runtime: &mut Runtime) -> Result<()> {
        let budget = self.plan.options.get("budget");
        if budget.and_then(|budget| budget.get("max_cost")).is_none_or(Value::is_null) {
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
