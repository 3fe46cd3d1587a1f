//! What stands in for others in tests.

pub mod server;
