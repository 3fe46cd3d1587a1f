//! Policies that the dispatcher follows, as plain data: none of them knows Lua or a clock.

pub mod exposition;
pub mod histogram;
pub mod stack;
