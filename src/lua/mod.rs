//! The Lua edge: the only rooms that know mlua and the Lua C API.
//!
//! A call comes in through `raw.rs`, is read onto the tape by `read.rs`, checked and run by
//! `call.rs`, and pushed by `push.rs`. A call that waits is handed to `drive.lua`.

mod args;
mod attend;
mod bridge;
mod bridges;
mod call;
mod cassette;
mod compiled;
mod compose;
mod coverage;
mod drive;
mod events;
mod faces;
mod filters;
mod following;
mod foreign;
mod growing;
mod help;
mod hooks;
mod inner;
mod instance;
mod late;
mod linking;
mod memo;
mod metrics;
mod open;
mod push;
mod quick;
mod raw;
mod read;
mod recording;
mod reference;
mod report;
mod sandbox;
mod scope;
mod services;
mod serving;
mod short;
mod stack;

pub use open::luaopen_zigllms;
