//! How often each function was called, whatever becomes of the counters that say so.

/// By the function's number.
#[derive(Debug, Default)]
pub struct Calls {
    /// Before those counters were last reset.
    earlier: Vec<u64>,
    /// What they said when the count began.
    since: Vec<u64>,
}

impl Calls {
    pub fn begun(counters: Vec<u64>) -> Calls {
        Calls { earlier: Vec::new(), since: counters }
    }

    pub fn all(&self, counters: &[u64]) -> Vec<u64> {
        let at = |list: &Vec<u64>, number| list.get(number).copied().unwrap_or_default();
        let counters = counters.iter().enumerate();
        counters.map(|(n, calls)| at(&self.earlier, n) + calls - at(&self.since, n)).collect()
    }

    /// The counters are about to be reset.
    pub fn keep(&mut self, counters: &[u64]) {
        *self = Calls { earlier: self.all(counters), since: Vec::new() };
    }
}
