//! The Lua states that sandboxed code runs in.

mod cell;
mod cross;
mod functions;
mod furnish;
mod room;

pub use room::Rooms;
