//! Work that is saved. Policies alone: what they are about, their callers know.

pub mod cache;
pub mod functions;
pub mod key;
pub mod memo;

pub use cache::{Cache, Recall, Wish};
pub use key::Key;
