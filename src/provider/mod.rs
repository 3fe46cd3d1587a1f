//! Language models: what they are asked and what they answer, whoever serves them.

pub mod abilities;
pub mod anthropic;
mod attempts;
mod broken;
pub mod catalog;
pub mod cohere;
mod counting;
mod documents;
#[cfg(feature = "local")]
mod embedded;
mod embedding;
mod exchange;
pub mod failure;
pub mod fallback;
pub(crate) mod fields;
mod inbox;
mod inquiry;
mod instance;
pub mod limiter;
#[cfg(feature = "local")]
pub mod local;
mod models;
pub mod ollama;
pub mod openai;
pub mod options;
pub mod prices;
mod printed;
mod providers;
pub mod question;
pub mod reach;
mod reading;
mod recall;
pub mod responses;
mod retried;
pub mod retry;
pub mod secret;
mod source;
pub mod sse;
pub mod stand;
mod stored;
pub mod structured;
mod target;
#[cfg(test)]
pub(crate) mod testing;
mod transport;
mod whom;
pub mod wire;

pub use counting::Counting;
pub use embedding::Embedding;
pub use exchange::{Ask, Exchange};
pub use inquiry::Inquiry;
pub use instance::{Provider, without_userinfo};
pub use models::ModelList;
pub use options::CONFIG;
pub use providers::Providers;
pub use reach::Reach;
pub use recall::embed as question_of;
pub use source::models_of_file;
pub use stand::By;
pub use stored::clear as clear_stored;
pub use whom::Whom;

use crate::chat::ToolSpec;

/// A tool as requests in that protocol carry it; `None` if the word stands for none.
pub fn tool_for(protocol: &str, tool: &ToolSpec) -> Option<serde_json::Value> {
    match protocol {
        "openai" | "cohere" => Some(openai::tool(tool)),
        "anthropic" => Some(anthropic::tool(tool)),
        _ => None,
    }
}
