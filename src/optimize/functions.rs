//! Which functions may be cached, which are without being told, and what their results depend on.
//!
//! A function stands here if a hit can be cheaper than its work. The others say why they do not:
//! they write, they have effects outside, or their result belongs to one moment.

use serde_json::Value;

use crate::error::{Error, Result, quoted};
use crate::shape::nearest;

/// Text from which on reading it costs more than looking it up.
pub const LONG: usize = 1024;

/// A function that may be cached.
#[derive(Debug)]
pub struct Function {
    pub name: &'static str,
    /// Cached without being told.
    pub on: bool,
    /// Only for a first argument of so many bytes of text.
    pub from_bytes: usize,
    /// Its result depends on more than the arguments and what is counted below: time bounds it.
    pub ages: bool,
    /// What it reads besides its arguments.
    pub reads: &'static [Area],
}

/// What can change while the arguments stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// Any agent.
    Agents,
    /// The agent that the first argument names.
    Agent,
    Tools,
    Providers,
    Schemas,
    /// Which of them were used.
    SchemaUses,
    Config,
}

const fn of(name: &'static str, reads: &'static [Area]) -> Function {
    Function { name, on: false, from_bytes: 0, ages: false, reads }
}

impl Function {
    const fn on(mut self) -> Function {
        self.on = true;
        self
    }

    const fn long(mut self) -> Function {
        self.from_bytes = LONG;
        self
    }

    const fn ages(mut self) -> Function {
        self.ages = true;
        self
    }
}

pub const SCHEMA_COMPILE: usize = 0;
pub const GET_MODELS: usize = 1;
pub const CHAT: usize = 2;
pub const EMBED: usize = 3;
pub const TOOL: usize = 4;

use Area::{Agent, Agents, Config, Providers, SchemaUses, Schemas, Tools};

/// The first ones are kept by those who do the work, the others where every call passes.
pub static FUNCTIONS: &[Function] = &[
    of("schema.compile", &[Schemas]).on(),
    of("provider.get_models", &[]).ages().on(),
    of("provider.chat", &[]).ages(),
    of("provider.embed", &[]).ages(),
    of("tool.execute", &[]).ages(),
    of("agent.get_info", &[Agent, Providers, Tools]),
    of("agent.list", &[Agents]),
    of("tool.list", &[Tools]),
    of("tool.discover", &[Tools]),
    of("tool.get_schema", &[Tools]),
    // What is in the environment is counted by nobody.
    of("provider.list", &[Providers, Config]).ages(),
    of("provider.get", &[Providers, Config]).ages(),
    of("schema.generate", &[]),
    of("schema.merge", &[Schemas]),
    of("schema.get_info", &[Schemas, SchemaUses]),
    of("output.recover", &[Schemas]).long().on(),
    of("output.parse", &[Schemas]).long(),
    of("output.extract_json", &[Schemas]).long(),
    of("output.extract_markdown", &[]).long(),
    of("output.extract_tool_calls", &[Schemas, Tools]).long(),
    of("output.format", &[]),
    of("output.detect_format", &[]),
    of("output.validate_format", &[]),
    of("output.get_schema", &[]),
];

/// The place of a function whose results are kept where every call passes.
pub fn at_the_door(name: &str) -> Option<usize> {
    find(name).filter(|place| *place > TOOL)
}

/// The place of a function, by its full name.
pub fn find(name: &str) -> Option<usize> {
    FUNCTIONS.iter().position(|function| function.name == name)
}

/// Fails for a name that cannot be switched. `why` says of a function that there is what keeps its
/// results from being cached.
pub fn check(switches: &Value, path: &str, why: impl Fn(&str) -> Option<String>) -> Result<()> {
    let mut names = switches.as_object().into_iter().flat_map(|members| members.keys());
    let Some(name) = names.find(|name| find(name).is_none()) else { return Ok(()) };
    let message = why(name).unwrap_or_else(|| format!("no such function, {}", hint(name)));
    Err(Error::invalid(format!("{path}[{}]: {message}", quoted(name))))
}

fn hint(name: &str) -> String {
    let known = FUNCTIONS.iter().map(|function| function.name);
    match nearest(name, known.clone()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("those that can be cached: {}", known.collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_places_are_those_of_their_names() {
        let places = [
            (SCHEMA_COMPILE, "schema.compile"),
            (GET_MODELS, "provider.get_models"),
            (CHAT, "provider.chat"),
            (EMBED, "provider.embed"),
            (TOOL, "tool.execute"),
        ];
        for (place, name) in places {
            assert_eq!(find(name), Some(place));
        }
    }

    #[test]
    fn no_function_reads_more_than_a_stamp_holds() {
        for function in FUNCTIONS {
            let places: usize =
                function.reads.iter().map(|area| if *area == Agent { 2 } else { 1 }).sum();
            assert!(places <= std::mem::size_of::<super::super::memo::Stamp>() / 8);
        }
    }

    #[test]
    fn a_name_that_cannot_be_switched_says_which_can() {
        let why = |name: &str| (name == "agent.run").then(|| "it has effects".to_owned());
        let check = |name: &str| {
            let told = check(&json!({ name: true }), "functions", why);
            told.map_err(|error| error.message().to_owned()).err()
        };
        assert_eq!(check("provider.chat"), None);
        let near =
            "functions[\"schema.compiel\"]: no such function, did you mean \"schema.compile\"?";
        assert_eq!(check("schema.compiel").as_deref(), Some(near));
        assert_eq!(check("agent.run").as_deref(), Some("functions[\"agent.run\"]: it has effects"));
        assert!(check("zzzzzzz").unwrap().contains("those that can be cached: schema.compile, "));
    }
}
