//! Hooks: functions around operations.

#[derive(Debug, Default)]
pub struct Hooks {}

impl Hooks {
    /// Whether an enabled hook may apply to the operation.
    pub fn is_hooked(&self, _operation: &str) -> bool {
        false
    }
}
