//! What group commit did.

use super::queue::Reason;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    /// Writes that wait now.
    pub queued: usize,
    /// Commits of queued writes, and the writes in them.
    pub batches: u64,
    pub calls: u64,
    /// Batches by why they were committed.
    pub full: u64,
    pub timeout: u64,
    pub barrier: u64,
    pub manual: u64,
    /// Times that something queued could not be committed.
    pub errors: u64,
}

impl Counters {
    pub fn avg_batch_size(&self) -> f64 {
        self.calls as f64 / self.batches.max(1) as f64
    }

    /// What happened since.
    #[must_use]
    pub fn since(self, before: Counters) -> Counters {
        Counters {
            queued: self.queued,
            batches: self.batches.saturating_sub(before.batches),
            calls: self.calls.saturating_sub(before.calls),
            full: self.full.saturating_sub(before.full),
            timeout: self.timeout.saturating_sub(before.timeout),
            barrier: self.barrier.saturating_sub(before.barrier),
            manual: self.manual.saturating_sub(before.manual),
            errors: self.errors.saturating_sub(before.errors),
        }
    }

    /// Of two together.
    #[must_use]
    pub fn plus(self, other: Counters) -> Counters {
        Counters {
            queued: self.queued + other.queued,
            batches: self.batches + other.batches,
            calls: self.calls + other.calls,
            full: self.full + other.full,
            timeout: self.timeout + other.timeout,
            barrier: self.barrier + other.barrier,
            manual: self.manual + other.manual,
            errors: self.errors + other.errors,
        }
    }

    pub(super) fn committed(&mut self, writes: usize, reason: Reason) {
        self.batches += 1;
        self.calls += writes as u64;
        *match reason {
            Reason::Full => &mut self.full,
            Reason::Timeout => &mut self.timeout,
            Reason::Barrier => &mut self.barrier,
            Reason::Manual => &mut self.manual,
        } += 1;
    }
}
