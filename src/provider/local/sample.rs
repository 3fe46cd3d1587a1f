//! Picks the next token: penalties, grammar, top-k, top-p, temperature, chance.

use std::hash::{BuildHasher, Hasher, RandomState};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;
use serde_json::Value;

use super::grammar;
use crate::chat::Settings;
use crate::error::{Error, Result, quoted};

/// Used where the settings say nothing: lively, without the long tail in which small models get
/// lost.
const TEMPERATURE: f64 = 0.7;
const TOP_K: u32 = 40;
const TOP_P: f64 = 0.95;

pub struct Sampler {
    chain: LlamaSampler,
    grammar: Option<LlamaSampler>,
    /// The whole vocabulary; kept because it is large.
    candidates: LlamaTokenDataArray,
}

/// Refuses settings of others.
pub fn check(settings: &Settings) -> Result<()> {
    Extra::read(settings).map(drop)
}

impl Sampler {
    /// `window`: of how many tokens penalties count repetitions.
    pub fn new(model: &LlamaModel, settings: &Settings, window: u32) -> Result<Sampler> {
        let grammar = match &settings.format {
            None => None,
            Some(format) => {
                let grammar = grammar::grammar(format)?;
                let unusable = |_| Error::unsupported("the schema makes no usable grammar");
                Some(LlamaSampler::grammar(model, &grammar, "root").map_err(unusable)?)
            }
        };
        Ok(Sampler {
            chain: chain(model.n_vocab(), settings, window)?,
            grammar,
            candidates: LlamaTokenDataArray::new(Vec::new(), false),
        })
    }

    /// The token that follows output `index` of the last batch.
    pub fn pick(&mut self, context: &LlamaContext<'_>, index: i32) -> Result<LlamaToken> {
        let mut token = self.choose(context, index, false)?;
        // Most tokens fit the grammar anyway, and to check one is far cheaper than to check all.
        if !self.fits(token) {
            token = self.choose(context, index, true)?;
        }
        Ok(token)
    }

    /// Tells penalties and grammar that `token` is part of the text.
    pub fn accept(&mut self, token: LlamaToken) -> Result<()> {
        let refused = |e| Error::internal(format!("llama.cpp refused its own token: {e}"));
        self.chain.try_accept(token).map_err(refused)?;
        match &mut self.grammar {
            Some(grammar) => grammar.try_accept(token).map_err(refused),
            None => Ok(()),
        }
    }

    fn choose(
        &mut self,
        context: &LlamaContext<'_>,
        index: i32,
        constrained: bool,
    ) -> Result<LlamaToken> {
        let candidates = &mut self.candidates;
        candidates.data.clear();
        candidates.data.extend(context.candidates_ith(index));
        candidates.selected = None;
        candidates.sorted = false;
        if constrained && let Some(grammar) = &mut self.grammar {
            candidates.apply_sampler(grammar);
            if !candidates.data.iter().any(|c| c.logit().is_finite()) {
                return Err(Error::unsupported("the grammar allows nothing the model can say"));
            }
        }
        candidates.apply_sampler(&mut self.chain);
        candidates.selected_token().ok_or_else(|| Error::internal("llama.cpp chose no token"))
    }

    fn fits(&mut self, token: LlamaToken) -> bool {
        let Some(grammar) = &mut self.grammar else { return true };
        let mut one = LlamaTokenDataArray::new(vec![LlamaTokenData::new(token, 1.0, 0.0)], false);
        one.apply_sampler(grammar);
        one.data.first().is_some_and(|c| c.logit().is_finite())
    }
}

fn chain(vocabulary: i32, settings: &Settings, window: u32) -> Result<LlamaSampler> {
    let extra = Extra::read(settings)?;
    let number = |value: Option<f64>| value.unwrap_or(0.0) as f32;
    let frequency = number(settings.frequency_penalty);
    let presence = number(settings.presence_penalty);
    let window = i32::try_from(window).unwrap_or(i32::MAX);
    let mut samplers = Vec::new();
    if frequency != 0.0 || presence != 0.0 || extra.repeat_penalty != 1.0 {
        let repeat = extra.repeat_penalty;
        samplers.push(LlamaSampler::penalties(vocabulary, window, repeat, frequency, presence));
    }
    let temperature = settings.temperature.unwrap_or(TEMPERATURE);
    if temperature > 0.0 {
        let top_k = settings.top_k.unwrap_or(TOP_K);
        samplers.push(LlamaSampler::top_k(i32::try_from(top_k).unwrap_or(i32::MAX)));
        samplers.push(LlamaSampler::top_p(settings.top_p.unwrap_or(TOP_P) as f32, 1));
        if extra.min_p > 0.0 {
            samplers.push(LlamaSampler::min_p(extra.min_p, 1));
        }
        samplers.push(LlamaSampler::temp(temperature as f32));
        samplers.push(LlamaSampler::dist(seed(settings.seed)));
    } else {
        samplers.push(LlamaSampler::greedy());
    }
    Ok(LlamaSampler::chain(samplers, true))
}

/// Options of llama.cpp that other providers do not have.
struct Extra {
    min_p: f32,
    repeat_penalty: f32,
}

impl Extra {
    fn read(settings: &Settings) -> Result<Extra> {
        let mut extra = Extra { min_p: 0.0, repeat_penalty: 1.0 };
        for (key, value) in &settings.extra {
            let slot = match key.as_str() {
                "min_p" => &mut extra.min_p,
                "repeat_penalty" => &mut extra.repeat_penalty,
                _ => {
                    let key = quoted(key);
                    let known = "min_p and repeat_penalty";
                    let problem = format!("extra: {key} is unknown to an embedded model ({known})");
                    return Err(Error::unsupported(problem));
                }
            };
            let number = |v: &Value| v.as_f64().filter(|n| *n >= 0.0);
            *slot = number(value)
                .ok_or_else(|| Error::invalid(format!("extra.{key} must be a number >= 0")))?
                as f32;
        }
        Ok(extra)
    }
}

/// llama.cpp's seeds have 32 bits, of which one value means "at random".
fn seed(wanted: Option<i64>) -> u32 {
    let wide = match wanted {
        Some(seed) => seed as u64,
        None => RandomState::new().build_hasher().finish(),
    };
    ((wide ^ (wide >> 32)) as u32).min(u32::MAX - 1)
}
