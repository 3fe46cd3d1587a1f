//! What tokens cost: prices per million of them, as the user knows them. None are built in.

use serde_json::{Map, Value};

use crate::chat::Usage;
use crate::error::{Error, Result, quoted};

/// `{[model] = {input =, output =, cached =}}`
#[derive(Clone, Debug, Default)]
pub struct Prices(Map<String, Value>);

const MEMBERS: [&str; 4] = ["input", "output", "cached", "cache_write"];
const MILLION: f64 = 1e6;

impl Prices {
    /// Those among the options of a provider.
    pub fn of(options: &Map<String, Value>) -> Prices {
        let given = options.get("prices").and_then(Value::as_object);
        Prices(given.cloned().unwrap_or_default())
    }

    /// Whether every token of that model has a price.
    pub fn know(&self, model: &str) -> bool {
        let price = |key: &str| self.0.get(model).and_then(|price| price.get(key)?.as_f64());
        price("input").is_some() && price("output").is_some()
    }

    /// What was used, for the first of these names of one model that has a price; none where the
    /// price of something that was used is not known.
    pub fn cost(&self, usage: &Usage, names: &[&str]) -> Option<f64> {
        let price = names.iter().find_map(|name| self.0.get(*name))?;
        let per = |key: &str| price.get(key).and_then(Value::as_f64);
        let (cached, written) =
            (usage.cached_tokens.unwrap_or(0), usage.cache_write_tokens.unwrap_or(0));
        let fresh = usage.prompt_tokens.saturating_sub(cached + written);
        let parts = [
            (fresh, per("input")),
            (cached, per("cached").or_else(|| per("input"))),
            (written, per("cache_write").or_else(|| per("input"))),
            (usage.completion_tokens + usage.other_tokens, per("output")),
        ];
        let used = parts.into_iter().filter(|(tokens, _)| *tokens > 0);
        let costs = used.map(|(tokens, price)| Some(tokens as f64 * price?));
        Some(costs.sum::<Option<f64>>()? / MILLION)
    }
}

/// Whether a configured list of prices is one.
pub fn check(options: &Map<String, Value>, path: &str) -> Result<()> {
    let given = options.get("prices").and_then(Value::as_object);
    for (model, price) in given.into_iter().flatten() {
        let path = format!("{path}.prices[{}]", quoted(model));
        match price {
            Value::Null => {}
            Value::Object(members) => {
                members.iter().try_for_each(|(key, price)| member(&path, key, price))?;
            }
            other => {
                return Err(Error::invalid(format!(
                    "{path}: expected a table {SHAPE}, got {other}"
                )));
            }
        }
    }
    Ok(())
}

const SHAPE: &str = "{input=, output=, cached=} of prices for a million tokens";

fn member(path: &str, key: &str, price: &Value) -> Result<()> {
    if !MEMBERS.contains(&key) {
        return Err(Error::invalid(format!("{path}.{key}: no such price, expected {SHAPE}")));
    }
    if price.is_null() || price.as_f64().is_some_and(|price| price >= 0.0) {
        return Ok(());
    }
    Err(Error::invalid(format!("{path}.{key}: expected a number of at least 0, got {price}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn prices(prices: Value) -> Prices {
        Prices::of(json!({ "prices": prices }).as_object().unwrap())
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        let usage = Usage {
            prompt_tokens: 1000,
            completion_tokens: 100,
            cached_tokens: Some(400),
            cache_write_tokens: Some(100),
            ..Usage::default()
        };
        let cost = |price: Value| prices(json!({ "m": price })).cost(&usage, &["x", "m"]);
        assert_eq!(cost(json!({"input": 2, "output": 10})), Some(0.003));
        assert_eq!(cost(json!({"input": 2, "output": 10, "cached": 1})), Some(0.0026));
        let all = json!({"input": 2, "output": 10, "cached": 1, "cache_write": 3});
        assert_eq!(cost(all), Some(0.0027));
        assert_eq!(cost(json!({"input": 2})), None);
        assert_eq!(prices(json!({})).cost(&usage, &["m"]), None);
        let texts = Usage { prompt_tokens: 10, ..Usage::default() };
        assert_eq!(prices(json!({"m": {"input": 1}})).cost(&texts, &["m"]), Some(1e-5));
    }

    #[test]
    fn a_list_of_prices_is_checked() {
        let wrong = |prices: Value| {
            let options = json!({ "prices": prices });
            check(options.as_object().unwrap(), "config").err().map(|e| e.message().to_owned())
        };
        assert_eq!(wrong(json!({"m": {"input": 1, "output": 0}})), None);
        for (given, path) in [
            (json!({"m": 1}), "config.prices[\"m\"]: "),
            (json!({"m": {"inputs": 1}}), "config.prices[\"m\"].inputs: "),
            (json!({"m": {"input": -1}}), "config.prices[\"m\"].input: "),
        ] {
            let message = wrong(given).unwrap_or_default();
            assert!(message.starts_with(path), "{message}");
        }
    }
}
