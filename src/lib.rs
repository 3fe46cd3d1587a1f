//! zigllms: agents, tools, workflows and language models for Lua, as one native module.
//!
//! The map of the house. Imports point downwards only; nothing outside [`lua`](mod@crate) knows Lua.
//!
//! ```text
//! lua/        the edge: C functions, reading, pushing, the dispatcher, drive.lua, the bridge tables
//! runtime     what one instance owns            config   its global options
//! agent/      combines the nouns below, as a step machine
//! tool/ provider/ schema/ output/ event/ hook/  nouns that stand alone
//! chat/       what is said between them, in neutral words
//! step tasks chunk                              machines, what wakes them, what they stream
//! net/        HTTP on threads of its own, with cancel and deadlines
//! process/    child processes, ended as a group
//! mock/       what a test says in a server's place, in the words of each vendor
//! cassette/   what servers said, kept in a file and said again
//! optimize/   work that is saved: what was computed is kept
//! store/      where data outlive the process: a trait, an engine a file
//! value/ shape registry error clock             data, option tables, ids, errors, time
//! ```

#![deny(unsafe_op_in_unsafe_fn)]

#[cfg(any(
    all(
        feature = "lua54",
        any(feature = "lua53", feature = "lua52", feature = "lua51", feature = "luajit")
    ),
    all(feature = "lua53", any(feature = "lua52", feature = "lua51", feature = "luajit")),
    all(feature = "lua52", any(feature = "lua51", feature = "luajit")),
    all(feature = "lua51", feature = "luajit"),
))]
compile_error!(
    "zigllms is built for one Lua at a time: choose exactly one of the features lua54, lua53, lua52, lua51, luajit"
);

#[cfg(all(
    feature = "_lua",
    not(any(
        feature = "lua54",
        feature = "lua53",
        feature = "lua52",
        feature = "lua51",
        feature = "luajit"
    ))
))]
compile_error!("the feature _lua is internal: choose one of lua54, lua53, lua52, lua51, luajit");

pub mod agent;
pub mod cassette;
pub mod chance;
pub mod chat;
pub mod chunk;
pub mod clock;
pub mod config;
pub mod coverage;
pub mod desk;
pub mod error;
pub mod event;
pub mod guard;
pub mod hook;
pub mod ledger;
#[cfg(feature = "_lua")]
mod lua;
pub mod memory;
pub mod meter;
pub mod mock;
pub mod net;
pub mod optimize;
pub mod output;
pub mod process;
pub mod provider;
pub mod registry;
pub mod report;
pub mod runtime;
pub mod sandbox;
pub mod schema;
pub mod shape;
pub mod step;
pub mod store;
pub mod tasks;
pub mod telling;
#[cfg(test)]
mod testing;
pub mod tool;
pub mod value;
pub mod workflow;

#[cfg(feature = "_lua")]
pub use lua::luaopen_zigllms;
