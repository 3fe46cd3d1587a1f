//! What `events.lua` asks of the core.

use super::inner::Inner;

pub static INNER: &[Inner] = &[];
