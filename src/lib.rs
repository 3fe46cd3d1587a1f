//! zigllms: agents, tools, workflows and language models for Lua, as one native module.

#![deny(unsafe_op_in_unsafe_fn)]

pub mod clock;
pub mod error;
pub mod net;
pub mod provider;
pub mod shape;
pub mod value;
