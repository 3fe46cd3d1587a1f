//! The bridges, one line each. A new one is a file and a line.

use super::bridge::Bridge;

pub mod agent;
pub mod module;
pub mod provider;
pub mod tool;

pub static BRIDGES: &[&Bridge] =
    &[&module::BRIDGE, &agent::BRIDGE, &tool::BRIDGE, &provider::BRIDGE];
