//! `zigllms.cache`: what is kept, so that it need not be computed, or asked for, again.

use crate::error::{Code, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Bridge, Effect, Function, Param, Run};
use crate::provider::clear_stored;
use crate::runtime::Runtime;
use crate::shape::Kind;
use crate::value::Data;

pub static BRIDGE: Bridge = Bridge {
    name: "cache",
    doc: "Results that are kept, so that they need not be computed, or asked for, again: configured by \
          `configure{cache=}`. A result is never stale: it goes when anything changes that it was made from, and \
          answers of others after `ttl_ms`. With `configure{store=}`, answers of `provider.chat` and `provider.embed` lie \
          in the store, too, with their questions, and any process gets them that asks the same of the same provider; \
          what a `transport` or a tool answers stays in its process. Each hit is a fresh table. Two equal calls at the same time are both made.",
    constants: &[],
    functions: &[],
    extras: &[
        Function {
            name: "clear",
            params: &[Param::new("pattern", Kind::Name).optional()],
            returns: &[("dropped", "integer")],
            doc: "Drops all results, or those of the functions whose names match: `*` stands for any text, as in \
                  \"schema.*\". Says how many those were. Answers of `provider.chat` and `provider.embed` go from \
                  the store, too, for all processes; they are not counted.",
            errors: &[Code::IoError],
            effect: Effect::Writes("cache"),
            example: "zigllms.schema.check(1, \"true\")\nassert(zigllms.cache.clear(\"schema.*\") == 1)",
            run: Run::Now(clear),
        },
        Function {
            name: "stats",
            params: &[],
            returns: &[("stats", "zigllms.CacheStats")],
            doc: "How often the cache has helped: `{enabled, entries, bytes, hits, misses, evictions, expired, \
                  invalidated, by_function, store}`. Only calls whose results could be kept are counted. An answer found in the \
                  store is a hit; `store = {hits, misses, failures}` tells of the questions to it.",
            errors: &[],
            effect: Effect::Reads("cache"),
            example: "print(zigllms.cache.stats().hits)",
            run: Run::Now(stats),
        },
    ],
};

fn clear(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    clear_stored(runtime, args.text(0))?;
    Ok(Data::from(runtime.cache.clear(args.text(0))))
}

fn stats(runtime: &mut Runtime, _: &Args<'_>) -> Result<Data> {
    Ok(runtime.cache.stats().into())
}
