//! The Lua states that sandboxed code runs in.

mod cell;
mod cross;
#[cfg(feature = "lua54")]
mod flood;
mod functions;
mod furnish;
mod room;

pub use room::Rooms;
