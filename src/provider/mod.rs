//! Language models: what they are asked and what they answer, whoever serves them.

pub mod chat;
pub mod failure;
pub mod openai;
pub mod retry;
pub mod secret;
pub mod sse;
pub mod wire;
