//! Data in its forms: [`Tape`] while a call lasts, [`serde_json::Value`] where it is kept,
//! [`Data`] on its way out, [`Slot`] for a Lua value that passes by reference.

mod brief;
pub mod bytes;
mod data;
mod document;
pub mod fence;
pub mod glob;
pub mod json;
mod kept;
pub mod path;
pub mod percent;
pub mod place;
pub mod plain;
pub mod repair;
mod slot;
pub mod tape;
pub mod xml;
pub mod yaml;

pub use brief::Brief;
pub use data::{Data, Failure, Key, Patch, Record};
pub use document::Document;
pub use kept::Kept;
pub use slot::{Slot, Slots};
pub use tape::{Kind, Ref, Tape};

/// Deepest nesting of tables and documents; the contract's limit.
pub const MAX_DEPTH: usize = 100;
