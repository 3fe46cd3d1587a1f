//! Policies that calls follow, as plain data: what they are about, their callers know.

pub mod cache;
pub mod exposition;
pub mod functions;
pub mod histogram;
pub mod key;
pub mod memo;
pub mod stack;

pub use cache::{Cache, Recall, Wish};
pub use key::Key;
