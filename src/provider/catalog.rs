//! Kinds of provider, one row each. A compatible service is a row; a new protocol is a file.

use super::anthropic::Anthropic;
use super::cohere::Cohere;
use super::instance::from_env;
use super::ollama::Ollama;
use super::openai::OpenAi;
use super::options::Headers;
use super::responses::Responses;
use super::stand::NOWHERE;
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
    /// Put behind a bare host from there.
    pub base_path: &'static str,
    pub model_env: &'static str,
    /// Asked where no model is named; empty: the first one the server lists.
    pub default_model: &'static str,
    /// As `default_model`, for embeddings.
    pub embed_model: &'static str,
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

impl Auth {
    /// Whether somebody shows it in a header of their own.
    pub fn is_among(self, headers: &Headers) -> bool {
        let name = match self {
            Auth::Bearer => "authorization",
            Auth::Header(name) => name,
        };
        headers.iter().any(|(given, value)| value.is_some() && given.eq_ignore_ascii_case(name))
    }
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
    base_path: "/v1",
    model_env: "OPENAI_MODEL",
    default_model: "gpt-4o-mini",
    embed_model: "text-embedding-3-small",
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
    embed_model: "nomic-embed-text",
    needs_key: false,
    wires: &[("chat", &OpenAi), ("ollama", &Ollama)],
    ..OPENAI
};

const ANTHROPIC: Row = Row {
    name: "anthropic",
    base_url: "https://api.anthropic.com",
    key_env: &["ANTHROPIC_API_KEY"],
    base_env: "ANTHROPIC_BASE_URL",
    base_path: "",
    model_env: "",
    default_model: "claude-sonnet-4-5",
    embed_model: "",
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
    embed_model: "embed-v4.0",
    wires: &[("chat", &Cohere)],
    ..OPENAI
};

/// A service that speaks OpenAI's protocol; how it deviates stands in `openai/server.rs`.
const fn service(
    name: &'static str,
    base_url: &'static str,
    key_env: &'static [&'static str],
    default_model: &'static str,
) -> Row {
    const WIRES: &[(&str, &dyn Wire)] = &[("chat", &OpenAi)];
    let row = Row { base_env: "", model_env: "", embed_model: "", wires: WIRES, ..OPENAI };
    Row { name, base_url, key_env, default_model, ..row }
}

/// A server of one's own, which needs no key and lists what it has.
const fn own(name: &'static str, base_url: &'static str) -> Row {
    Row { needs_key: false, ..service(name, base_url, &[], "") }
}

const GROQ: Row =
    service("groq", "https://api.groq.com/openai/v1", &["GROQ_API_KEY"], "llama-3.3-70b-versatile");
const OPENROUTER: Row = Row {
    embed_model: "openai/text-embedding-3-small",
    ..service(
        "openrouter",
        "https://openrouter.ai/api/v1",
        &["OPENROUTER_API_KEY"],
        "openrouter/auto",
    )
};
const XAI: Row = service("xai", "https://api.x.ai/v1", &["XAI_API_KEY"], "grok-4");
const GEMINI: Row = Row {
    embed_model: "gemini-embedding-001",
    ..service(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        "gemini-2.5-flash",
    )
};
const MISTRAL: Row = Row {
    embed_model: "mistral-embed",
    ..service("mistral", "https://api.mistral.ai/v1", &["MISTRAL_API_KEY"], "mistral-small-latest")
};
const DEEPSEEK: Row =
    service("deepseek", "https://api.deepseek.com/v1", &["DEEPSEEK_API_KEY"], "deepseek-chat");
/// Each customer has a host of their own; older addresses name a deployment and a version.
const AZURE: Row = Row {
    base_env: "AZURE_OPENAI_ENDPOINT",
    base_path: "/openai/v1",
    embed_model: OPENAI.embed_model,
    auth: Auth::Header("api-key"),
    version: Some(Version::Query("api-version", "2024-10-21")),
    wires: OPENAI.wires,
    ..service("azure", "", &["AZURE_OPENAI_API_KEY"], "gpt-4o-mini")
};
const LLAMACPP: Row = own("llamacpp", "http://localhost:8080/v1");
const VLLM: Row = own("vllm", "http://localhost:8000/v1");
/// No server: what it is asked is answered inside the module.
const MOCK: Row = Row { default_model: "mock", embed_model: "mock", ..own("mock", NOWHERE) };
const LMSTUDIO: Row = Row {
    embed_model: "text-embedding-nomic-embed-text-v1.5",
    ..own("lmstudio", "http://localhost:1234/v1")
};

/// The four kinds that are always listed, in this order.
pub static ROWS: [&Row; 4] = [&OPENAI, &ANTHROPIC, &COHERE, &LOCAL];

/// Services that are listed once they are used.
pub static SERVICES: [&Row; 11] = [
    &GROQ,
    &OPENROUTER,
    &XAI,
    &GEMINI,
    &MISTRAL,
    &DEEPSEEK,
    &AZURE,
    &LLAMACPP,
    &VLLM,
    &LMSTUDIO,
    &MOCK,
];

fn all() -> impl Iterator<Item = &'static Row> {
    ROWS.into_iter().chain(SERVICES)
}

/// The kind of that name, in any case; "ollama" is another word for "local".
pub fn find(name: &str) -> Option<&'static Row> {
    let name = if name.eq_ignore_ascii_case("ollama") { "local" } else { name };
    all().find(|row| row.name.eq_ignore_ascii_case(name))
}

/// As [`find`], but this version must be able to speak with it.
pub fn require(name: &str) -> Result<&'static Row> {
    let Some(row) = find(name) else {
        let names = || all().map(|row| row.name).chain(["ollama"]);
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
