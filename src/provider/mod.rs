//! Language models: what they are asked and what they answer, whoever serves them.

pub mod chat;
pub mod wire;
