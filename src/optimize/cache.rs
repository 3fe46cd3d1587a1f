//! The cache of one instance: what is kept, how it is configured, and how often it helped.
//!
//! Who does the work asks here first, and hands over what came of it. Errors are never handed over,
//! and two equal questions at the same time are both asked: neither waits for the other.
//!
//! ```
//! use zigllms::optimize::{Cache, Key, Recall, functions::SCHEMA_COMPILE};
//! let mut cache = Cache::default();
//! let ask = || Recall::new(Key::of(SCHEMA_COMPILE), [0; 4]);
//! assert_eq!(cache.find::<u32>(&ask()), None);
//! cache.keep(ask(), 8, 42u32);
//! assert_eq!(cache.find::<u32>(&ask()), Some(42));
//! ```

use std::any::Any;

use serde_json::{Map, Value, json};

use super::functions::{FUNCTIONS, Function};
use super::key::Key;
use super::memo::{Absent, Eviction, Limits, Memo, New, Stamp};
use crate::clock::Clock;
use crate::shape::{Field, Kind, Shape};
use crate::value::glob;

pub static CACHE: Shape = Shape::new(
    "CacheConfig",
    &[
        Field::new("enabled", Kind::Bool, "true", "false: nothing is kept"),
        Field::new("size", Kind::Int(0, MOST_ENTRIES), "1000", "most results kept"),
        Field::new("max_bytes", Kind::Int(0, 1 << 50), "33554432", "most bytes, keys included"),
        Field::new(
            "ttl_ms",
            Kind::Number(0.0, 1e12),
            "300000",
            "how long answers of others are kept: models, tools; 0 = no limit",
        ),
        Field::new(
            "eviction",
            Kind::Enum(&["lru", "lfu", "fifo"]),
            "\"lru\"",
            "what makes room: \"lru\" not used for longest, \"lfu\" used least, \"fifo\" the oldest",
        ),
        Field::new(
            "functions",
            Kind::MapOf(&Kind::Bool),
            "{}",
            "`{[\"output.parse\"]=true}` caches what is not cached by itself, false what is; \
             `provider.chat`: at temperature 0",
        ),
    ],
    &[],
);

const MOST_ENTRIES: i64 = 1 << 30;

/// What an option `cache` may be.
pub const WISH: Kind = Kind::OneOf(&[Kind::Bool, Kind::Number(1.0, 1e12)]);

/// What an option `cache` says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wish {
    No,
    Yes,
    /// For so many milliseconds.
    For(f64),
}

impl Wish {
    /// `None`: it says nothing.
    pub fn of(value: Option<&Value>) -> Option<Wish> {
        Some(match value? {
            Value::Bool(false) => Wish::No,
            Value::Bool(true) => Wish::Yes,
            value => Wish::For(value.as_f64()?),
        })
    }
}

/// A question whose answer may be kept.
#[derive(Clone, Debug)]
pub struct Recall {
    key: Key,
    stamp: Stamp,
    /// Milliseconds, where it is known for how long.
    ttl: Option<f64>,
    /// Other processes may have the answer: all that it depends on is in the key.
    shared: bool,
}

impl Recall {
    pub fn new(key: Key, stamp: Stamp) -> Recall {
        Recall { key, stamp, ttl: None, shared: false }
    }

    #[must_use]
    pub fn wished(mut self, wish: Wish) -> Recall {
        if let Wish::For(ms) = wish {
            self.ttl = Some(ms);
        }
        self
    }

    #[must_use]
    pub fn shareable(mut self, shared: bool) -> Recall {
        self.shared = shared;
        self
    }

    /// The question, if others may have its answer.
    pub fn shared(&self) -> Option<&[u8]> {
        self.key.bytes().filter(|_| self.shared)
    }

    /// Others shall not get the answer.
    pub fn keep_here(&mut self) {
        self.shared = false;
    }

    /// For so many milliseconds more, or for good.
    pub fn until(&mut self, ms: Option<f64>) {
        self.ttl = Some(ms.unwrap_or(f64::MAX));
    }

    pub fn function(&self) -> usize {
        self.key.function().into()
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    hits: u64,
    misses: u64,
    evictions: u64,
    expired: u64,
    outdated: u64,
}

/// Questions to the store.
#[derive(Clone, Copy, Debug, Default)]
struct Stored {
    hits: u64,
    misses: u64,
    failures: u64,
}

#[derive(Clone, Debug)]
struct Settings {
    enabled: bool,
    limits: Limits,
    ttl_ms: f64,
    /// What was switched, by place in [`FUNCTIONS`].
    switched: Vec<Option<bool>>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            enabled: true,
            limits: Limits { entries: 1000, bytes: 32 << 20, eviction: Eviction::Lru },
            ttl_ms: 300_000.0,
            switched: vec![None; FUNCTIONS.len()],
        }
    }
}

impl Settings {
    fn set(&mut self, key: &str, value: &Value, usual: &Settings) {
        let count = |usual: usize| value.as_u64().map_or(usual, |n| n as usize);
        match key {
            "enabled" => self.enabled = value.as_bool().unwrap_or(usual.enabled),
            "size" => self.limits.entries = count(usual.limits.entries),
            "max_bytes" => self.limits.bytes = count(usual.limits.bytes),
            "ttl_ms" => self.ttl_ms = value.as_f64().unwrap_or(usual.ttl_ms),
            "eviction" => self.limits.eviction = eviction(value.as_str()),
            "functions" => switch(&mut self.switched, value.as_object()),
            _ => {}
        }
    }
}

#[derive(Debug)]
pub struct Cache {
    pub clock: Clock,
    settings: Settings,
    /// A bit for each function that is cached where every call passes.
    active: u64,
    memo: Memo<Box<dyn Any>>,
    counts: Vec<Counts>,
    stored: Stored,
}

impl Default for Cache {
    fn default() -> Cache {
        Cache::of(Clock::default())
    }
}

impl Cache {
    /// Whose entries age by that clock.
    pub fn of(clock: Clock) -> Cache {
        let settings = Settings::default();
        let mut cache = Cache {
            clock,
            active: 0,
            memo: Memo::new(settings.limits),
            counts: vec![Counts::default(); FUNCTIONS.len()],
            stored: Stored::default(),
            settings,
        };
        cache.active = cache.switched_on();
        cache
    }

    /// Whether a function's results are kept where a call does not say so itself.
    #[inline]
    pub fn is_on(&self, function: usize) -> bool {
        self.active >> function & 1 == 1
    }

    pub fn is_enabled(&self) -> bool {
        self.settings.enabled
    }

    /// What was switched for a function, if anything was.
    pub fn switched(&self, function: usize) -> Option<bool> {
        self.settings.switched.get(function).copied().flatten()
    }

    fn switched_on(&self) -> u64 {
        let on = |(place, function): (usize, &Function)| {
            u64::from(self.switched(place).unwrap_or(function.on)) << place
        };
        let all = FUNCTIONS.iter().enumerate().map(on).fold(0, |all, bit| all | bit);
        if self.settings.enabled { all } else { 0 }
    }

    /// The kept answer, if there is one that is still true.
    pub fn find<T: Any + Clone>(&mut self, recall: &Recall) -> Option<T> {
        if !self.settings.enabled {
            return None;
        }
        let key = recall.key.bytes()?;
        let clock = &self.clock;
        let found = self.memo.get(key, recall.stamp, || clock.now());
        let found = found.map(|value| value.downcast_ref::<T>().cloned());
        let counts = self.counts.get_mut(usize::from(recall.key.function()))?;
        match found {
            Ok(Some(value)) => {
                counts.hits += 1;
                return Some(value);
            }
            Err(Absent::Expired) => counts.expired += 1,
            Err(Absent::Outdated) => counts.outdated += 1,
            Ok(None) | Err(Absent::Unknown) => {}
        }
        counts.misses += 1;
        None
    }

    /// Keeps an answer of about so many bytes.
    pub fn keep<T: Any>(&mut self, recall: Recall, weight: usize, value: T) {
        if !self.settings.enabled || recall.key.bytes().is_none() {
            return;
        }
        let group = recall.key.function();
        let until = self.ttl(&recall).map(|ms| self.clock.now().after_float_ms(ms));
        let (key, stamp) = (recall.key.into_bytes(), recall.stamp);
        let new = New { key, group, stamp, until, weight, value: Box::new(value) as Box<dyn Any> };
        let evicted = self.memo.put(new);
        if let Some(counts) = self.counts.get_mut(usize::from(group)) {
            counts.evictions += evicted;
        }
    }

    /// For how many milliseconds an answer may be given again; none: for good.
    pub fn ttl(&self, recall: &Recall) -> Option<f64> {
        let ages = FUNCTIONS.get(recall.function()).is_some_and(|function| function.ages);
        recall.ttl.or(Some(self.settings.ttl_ms).filter(|ms| ages && *ms > 0.0))
    }

    /// What the store said to a question that was missed here: an answer found there is a hit.
    pub fn count_stored(&mut self, recall: &Recall, hit: bool) {
        if !hit {
            self.stored.misses += 1;
            return;
        }
        self.stored.hits += 1;
        if let Some(counts) = self.counts.get_mut(recall.function()) {
            counts.hits += 1;
            counts.misses = counts.misses.saturating_sub(1);
        }
    }

    /// The store could not be asked, or told.
    pub fn count_failure(&mut self) {
        self.stored.failures += 1;
    }

    /// Merges checked options; null restores a default, and nothing restores all of them.
    pub fn configure(&mut self, given: Option<&Map<String, Value>>) {
        let usual = Settings::default();
        match given {
            None => self.settings = usual,
            Some(given) => {
                given.iter().for_each(|(key, value)| self.settings.set(key, value, &usual))
            }
        }
        self.apply();
    }

    /// What is switched off is dropped.
    fn apply(&mut self) {
        self.active = self.switched_on();
        let (enabled, switched) = (self.settings.enabled, &self.settings.switched);
        self.memo.drop_groups(|group| {
            !enabled || switched.get(usize::from(group)).copied().flatten() == Some(false)
        });
        self.memo.limit(self.settings.limits);
    }

    /// As `config()` shows it.
    pub fn config(&self) -> Value {
        let Settings { enabled, limits, ttl_ms, .. } = &self.settings;
        let switched = FUNCTIONS.iter().enumerate();
        let switched = switched.filter_map(|(at, f)| Some((f.name, self.switched(at)?)));
        let functions: Map<String, Value> =
            switched.map(|(name, on)| (name.to_owned(), on.into())).collect();
        json!({
            "enabled": enabled, "size": limits.entries, "max_bytes": limits.bytes,
            "ttl_ms": whole(*ttl_ms), "eviction": name(limits.eviction), "functions": functions,
        })
    }

    /// Drops what is kept of the functions whose names match; says how many results those were.
    pub fn clear(&mut self, pattern: Option<&str>) -> usize {
        let name = |group: u16| FUNCTIONS.get(usize::from(group)).map_or("", |f| f.name);
        self.memo.drop_groups(|group| pattern.is_none_or(|p| glob::matches(p, name(group))))
    }

    /// Starts counting anew.
    pub fn reset_counts(&mut self) {
        self.counts.fill(Counts::default());
        self.stored = Stored::default();
    }

    fn sum(&self, count: impl Fn(&Counts) -> u64) -> u64 {
        self.counts.iter().map(count).sum()
    }

    /// As `cache.stats()` shows it.
    pub fn stats(&self) -> Value {
        let functions = FUNCTIONS.iter().zip(&self.counts);
        let by_function: Map<String, Value> = functions
            .filter(|(_, counts)| counts.hits + counts.misses > 0)
            .map(|(function, Counts { hits, misses, .. })| {
                (function.name.to_owned(), json!({ "hits": hits, "misses": misses }))
            })
            .collect();
        let Stored { hits, misses, failures } = self.stored;
        json!({
            "enabled": self.settings.enabled,
            "entries": self.memo.len(),
            "bytes": self.memo.bytes(),
            "hits": self.sum(|c| c.hits),
            "misses": self.sum(|c| c.misses),
            "evictions": self.sum(|c| c.evictions),
            "expired": self.sum(|c| c.expired),
            "invalidated": self.sum(|c| c.outdated),
            "by_function": by_function,
            "store": { "hits": hits, "misses": misses, "failures": failures },
        })
    }
}

fn eviction(word: Option<&str>) -> Eviction {
    match word {
        Some("lfu") => Eviction::Lfu,
        Some("fifo") => Eviction::Fifo,
        _ => Eviction::Lru,
    }
}

fn name(eviction: Eviction) -> &'static str {
    match eviction {
        Eviction::Lru => "lru",
        Eviction::Lfu => "lfu",
        Eviction::Fifo => "fifo",
    }
}

/// `None` takes all switches back, a null the one it stands for.
fn switch(switched: &mut [Option<bool>], given: Option<&Map<String, Value>>) {
    let Some(given) = given else { return switched.fill(None) };
    for (at, function) in FUNCTIONS.iter().enumerate() {
        if let (Some(value), Some(place)) = (given.get(function.name), switched.get_mut(at)) {
            *place = value.as_bool();
        }
    }
}

fn whole(number: f64) -> Value {
    if number.fract() == 0.0 { Value::from(number as i64) } else { Value::from(number) }
}

#[cfg(test)]
mod tests {
    use super::super::functions::{CHAT, GET_MODELS, SCHEMA_COMPILE, find};
    use super::*;

    fn configure(cache: &mut Cache, options: Value) {
        cache.configure(options.as_object());
    }

    fn ask(function: usize, n: i64) -> Recall {
        let mut key = Key::of(function);
        key.int(n);
        Recall::new(key, [0; 4])
    }

    #[test]
    fn answers_of_others_age_and_computed_ones_do_not() {
        let mut cache = Cache::default();
        configure(&mut cache, json!({"ttl_ms": 0.000001}));
        cache.keep(ask(GET_MODELS, 1), 0, 1);
        cache.keep(ask(SCHEMA_COMPILE, 1), 0, 1);
        assert_eq!(cache.find::<i32>(&ask(GET_MODELS, 1)), None);
        assert_eq!(cache.find::<i32>(&ask(SCHEMA_COMPILE, 1)), Some(1));
        configure(&mut cache, json!({"ttl_ms": 0}));
        cache.keep(ask(GET_MODELS, 1), 0, 1);
        assert_eq!(cache.find::<i32>(&ask(GET_MODELS, 1)), Some(1));
        cache.keep(ask(CHAT, 1).wished(Wish::For(0.000001)), 0, 1);
        assert_eq!(cache.find::<i32>(&ask(CHAT, 1)), None);
    }

    #[test]
    fn switches_merge_and_null_takes_one_back() {
        let mut cache = Cache::default();
        let parse = find("output.parse").unwrap();
        assert!(cache.is_on(SCHEMA_COMPILE) && !cache.is_on(parse));
        configure(
            &mut cache,
            json!({"functions": {"output.parse": true, "schema.compile": false}}),
        );
        assert!(!cache.is_on(SCHEMA_COMPILE) && cache.is_on(parse));
        configure(&mut cache, json!({"functions": {"schema.compile": null}, "size": 7}));
        assert!(cache.is_on(SCHEMA_COMPILE) && cache.is_on(parse));
        assert_eq!(cache.config()["functions"], json!({"output.parse": true}));
        configure(&mut cache, json!({"enabled": false}));
        assert!(!cache.is_on(parse));
        cache.configure(None);
        assert_eq!(cache.config(), Cache::default().config());
    }

    #[test]
    fn what_is_switched_off_is_dropped_at_once() {
        let mut cache = Cache::default();
        cache.keep(ask(SCHEMA_COMPILE, 1), 0, 1);
        cache.keep(ask(GET_MODELS, 1), 0, 1);
        configure(&mut cache, json!({"functions": {"schema.compile": false}}));
        assert_eq!(cache.memo.len(), 1);
        configure(&mut cache, json!({"enabled": false}));
        assert_eq!((cache.memo.len(), cache.memo.bytes()), (0, 0));
        cache.keep(ask(GET_MODELS, 1), 0, 1);
        assert_eq!(cache.find::<i32>(&ask(GET_MODELS, 1)), None);
        assert_eq!(
            (cache.stats()["hits"].clone(), cache.stats()["misses"].clone()),
            (json!(0), json!(0))
        );
    }

    #[test]
    fn it_is_cleared_by_names() {
        let mut cache = Cache::default();
        cache.keep(ask(SCHEMA_COMPILE, 1), 0, 1);
        cache.keep(ask(GET_MODELS, 1), 0, 1);
        cache.keep(ask(CHAT, 1), 0, 1);
        assert_eq!(cache.clear(Some("provider.*")), 2);
        assert_eq!(cache.clear(Some("provider.*")), 0);
        assert_eq!(cache.clear(None), 1);
    }
}
