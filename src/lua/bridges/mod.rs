//! The bridges, one line each. A new one is a file and a line.

use super::bridge::Bridge;

mod agent;
mod batch;
mod memory;
mod module;
mod observe;
mod output;
mod provider;
mod schema;
mod tool;

pub static BRIDGES: &[&Bridge] = &[
    &module::BRIDGE,
    &agent::BRIDGE,
    &tool::BRIDGE,
    &provider::BRIDGE,
    &schema::BRIDGE,
    &memory::BRIDGE,
    &output::BRIDGE,
];

pub use schema::answers as schema_answers;
