//! Hooks: functions around operations.

#[derive(Debug, Default)]
pub struct Hooks {}
