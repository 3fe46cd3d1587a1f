//! Language models: what they are asked and what they answer, whoever serves them.

pub mod chat;
#[cfg(feature = "local")]
pub mod local;
pub mod wire;
