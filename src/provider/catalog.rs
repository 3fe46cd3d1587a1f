//! Kinds of provider, one row each. A compatible service is a row; a new protocol is a file.

use super::anthropic::Anthropic;
use super::cohere::Cohere;
use super::instance::from_env;
use super::ollama::Ollama;
use super::openai::OpenAi;
use super::responses::Responses;
use super::wire::Wire;
use crate::error::{Error, Result};
use crate::shape::nearest;

/// Facts about a kind of provider.
#[derive(Debug)]
pub struct Row {
    /// The name that stands for it in options.
    pub name: &'static str,
    pub base_url: &'static str,
    /// Environment variables with a key (the first that is set), a URL and a model.
    pub key_env: &'static [&'static str],
    pub base_env: &'static str,
    pub model_env: &'static str,
    /// Asked where no model is named; empty: the first one the server lists.
    pub default_model: &'static str,
    pub needs_key: bool,
    pub auth: Auth,
    /// Where `api_version` is said, and which one is spoken.
    pub version: Option<Version>,
    /// The protocols it speaks, by the value of `api`; the first is the usual one. None: this
    /// version cannot speak with it.
    pub wires: &'static [(&'static str, &'static dyn Wire)],
}

/// How a key is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    Bearer,
    /// In a header of its own.
    Header(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub enum Version {
    Header(&'static str, &'static str),
    Query(&'static str, &'static str),
}

impl Row {
    pub fn built(&self) -> bool {
        !self.wires.is_empty()
    }

    pub fn key_from_env(&self) -> Option<String> {
        self.key_env.iter().find_map(|name| from_env(name))
    }

    /// The protocol that `api` names.
    pub fn wire(&self, api: Option<&str>) -> Result<&'static dyn Wire> {
        let wires = self.wires.iter();
        let found = wires.clone().find(|(name, _)| api.is_none_or(|api| api == *name));
        found.map(|(_, wire)| *wire).ok_or_else(|| {
            let known: Vec<_> = wires.map(|(name, _)| format!("{name:?}")).collect();
            let (api, known) = (api.unwrap_or_default(), known.join(", "));
            Error::unsupported(format!("api={api:?}: type {:?} knows {known}", self.name))
        })
    }
}

pub const OPENAI: Row = Row {
    name: "openai",
    base_url: "https://api.openai.com/v1",
    key_env: &["OPENAI_API_KEY"],
    base_env: "OPENAI_BASE_URL",
    model_env: "OPENAI_MODEL",
    default_model: "gpt-4o-mini",
    needs_key: true,
    auth: Auth::Bearer,
    version: None,
    wires: &[("chat", &OpenAi), ("responses", &Responses)],
};

pub const LOCAL: Row = Row {
    name: "local",
    base_url: "http://localhost:11434/v1",
    key_env: &[],
    base_env: "OLLAMA_HOST",
    model_env: "",
    default_model: "",
    needs_key: false,
    wires: &[("chat", &OpenAi), ("ollama", &Ollama)],
    ..OPENAI
};

const ANTHROPIC: Row = Row {
    name: "anthropic",
    base_url: "https://api.anthropic.com",
    key_env: &["ANTHROPIC_API_KEY"],
    base_env: "ANTHROPIC_BASE_URL",
    model_env: "",
    default_model: "claude-sonnet-4-5",
    auth: Auth::Header("x-api-key"),
    version: Some(Version::Header("anthropic-version", "2023-06-01")),
    wires: &[("chat", &Anthropic)],
    ..OPENAI
};

const COHERE: Row = Row {
    name: "cohere",
    base_url: "https://api.cohere.com",
    key_env: &["COHERE_API_KEY", "CO_API_KEY"],
    base_env: "",
    model_env: "",
    default_model: "command-a-03-2025",
    wires: &[("chat", &Cohere)],
    ..OPENAI
};

/// All kinds, in the order they are listed.
pub static ROWS: [&Row; 4] = [&OPENAI, &ANTHROPIC, &COHERE, &LOCAL];

/// The kind of that name, in any case; "ollama" is another word for "local".
pub fn find(name: &str) -> Option<&'static Row> {
    let name = if name.eq_ignore_ascii_case("ollama") { "local" } else { name };
    ROWS.into_iter().find(|row| row.name.eq_ignore_ascii_case(name))
}

/// As [`find`], but this version must be able to speak with it.
pub fn require(name: &str) -> Result<&'static Row> {
    let Some(row) = find(name) else {
        let names = || ROWS.iter().map(|row| row.name);
        let known = names().collect::<Vec<_>>().join(", ");
        let hint =
            nearest(name, names()).map_or(String::new(), |n| format!(" (did you mean {n:?}?)"));
        return Err(Error::invalid(format!(
            "no provider type {name:?}{hint}: known types are {known}"
        )));
    };
    if row.built() {
        return Ok(row);
    }
    Err(Error::unsupported(format!(
        "this version does not speak the protocol of {:?} yet",
        row.name
    )))
}
