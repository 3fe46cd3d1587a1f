//! The bridges, one line each. A new one is a file and a line.

use super::bridge::Bridge;

mod agent;
mod batch;
mod cache;
mod event;
pub mod hook;
mod memory;
mod module;
mod observe;
mod output;
mod provider;
mod schema;
mod test;
mod tool;
mod workflow;

pub static BRIDGES: &[&Bridge] = &[
    &module::BRIDGE,
    &agent::BRIDGE,
    &tool::BRIDGE,
    &workflow::BRIDGE,
    &provider::BRIDGE,
    &event::BRIDGE,
    &test::BRIDGE,
    &schema::BRIDGE,
    &memory::BRIDGE,
    &hook::BRIDGE,
    &output::BRIDGE,
    &cache::BRIDGE,
];

pub use agent::about as agent_about;
pub use memory::watched as watched_memory;
pub use schema::answers as schema_answers;
pub use test::{CASSETTE, CASSETTE_PATH};
