//! What was asked of models since the last reset: tokens, times, retries. Names that come from
//! outside are bounded; those beyond the bound are counted together, so the sums stay exact.

use std::collections::BTreeMap;

use crate::chat::Usage;
use crate::error::Code;
use crate::optimize::histogram::Distribution;

/// Provider instances and models told apart.
const MOST_NAMES: usize = 64;

/// Stands for all others.
const OTHER: &str = "other";

/// Seconds, as OpenTelemetry wants them for operations of generative AI.
const SECONDS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Who was asked what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// `chat` or `embeddings`.
    pub operation: &'static str,
    /// The kind of provider.
    pub provider: &'static str,
    pub model: String,
}

/// Times of one series.
#[derive(Clone, Debug)]
pub struct Times {
    /// By how it ended: a code, or empty.
    pub durations: BTreeMap<&'static str, Distribution>,
    pub first_chunk: Distribution,
    pub input: Distribution,
    pub output: Distribution,
}

impl Default for Times {
    fn default() -> Times {
        Times {
            durations: BTreeMap::new(),
            first_chunk: Distribution::new(SECONDS),
            input: Distribution::new(TOKENS),
            output: Distribution::new(TOKENS),
        }
    }
}

/// One exchange that has ended.
pub struct Exchanged<'e> {
    pub series: Series,
    /// Id of the provider.
    pub instance: &'e str,
    pub duration_ms: f64,
    pub first_ms: Option<f64>,
    pub ended: Result<&'e Usage, Code>,
}

#[derive(Clone, Debug, Default)]
pub struct Meter {
    pub usage: Usage,
    pub by_provider: BTreeMap<String, Usage>,
    pub retries: u64,
    pub series: BTreeMap<Series, Times>,
}

impl Meter {
    pub fn exchanged(&mut self, exchanged: Exchanged<'_>) {
        let times = self.times(exchanged.series);
        let how = exchanged.ended.as_ref().err().map_or("", |code| code.name());
        let duration = times.durations.entry(how).or_insert_with(|| Distribution::new(SECONDS));
        duration.add(exchanged.duration_ms / 1e3);
        if let Some(ms) = exchanged.first_ms {
            times.first_chunk.add(ms / 1e3);
        }
        if let Ok(usage) = exchanged.ended {
            times.input.add(usage.prompt_tokens as f64);
            times.output.add(usage.completion_tokens as f64);
            self.used(exchanged.instance, usage);
        }
    }

    /// Adds tokens that were used.
    pub fn used(&mut self, instance: &str, usage: &Usage) {
        self.usage.add(usage);
        let known = self.by_provider.len() < MOST_NAMES || self.by_provider.contains_key(instance);
        let name = if known { instance } else { OTHER };
        self.by_provider.entry(name.to_owned()).or_default().add(usage);
    }

    fn times(&mut self, mut series: Series) -> &mut Times {
        if self.series.len() >= MOST_NAMES && !self.series.contains_key(&series) {
            series.model = OTHER.to_owned();
        }
        self.series.entry(series).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchanged<'e>(model: &str, instance: &'e str, usage: &'e Usage) -> Exchanged<'e> {
        let series = Series { operation: "chat", provider: "openai", model: model.to_owned() };
        Exchanged { series, instance, duration_ms: 5.0, first_ms: None, ended: Ok(usage) }
    }

    #[test]
    fn names_are_bounded_and_sums_exact() {
        let (mut meter, usage) = (Meter::default(), Usage { prompt_tokens: 1, ..Usage::default() });
        for i in 0..1000 {
            let (model, instance) = (format!("model {i}"), format!("provider_{i}"));
            meter.exchanged(exchanged(&model, &instance, &usage));
        }
        assert_eq!(meter.series.len(), MOST_NAMES + 1);
        assert_eq!(meter.by_provider.len(), MOST_NAMES + 1);
        let tokens: u64 = meter.by_provider.values().map(|usage| usage.prompt_tokens).sum();
        let counted: u64 = meter.series.values().map(|times| times.input.count).sum();
        assert_eq!((tokens, counted, meter.usage.prompt_tokens), (1000, 1000, 1000));
    }

    #[test]
    fn a_failure_has_a_time_and_no_tokens() {
        let (mut meter, usage) = (Meter::default(), Usage::default());
        let failed = Exchanged { ended: Err(Code::Network), ..exchanged("m", "p", &usage) };
        meter.exchanged(failed);
        let times = meter.series.values().next().unwrap();
        assert_eq!((times.durations["network"].count, times.input.count), (1, 0));
        assert!(meter.by_provider.is_empty());
    }
}
