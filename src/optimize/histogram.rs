//! Spans of time in buckets: a fixed size, whatever is counted.

/// Buckets for each doubling.
const PER_DOUBLING: f64 = 8.0;

/// The first bucket ends here.
const SHORTEST_MS: f64 = 0.0005;

/// Up to 9 minutes; what took longer is in the last one.
const BUCKETS: usize = 240;

/// Counts by size, for quantiles: each is within 5 % of a time that was counted.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: [u32; BUCKETS],
    total: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: [0; BUCKETS], total: 0 }
    }
}

impl Histogram {
    pub fn add(&mut self, ms: f64) {
        if let Some(count) = self.counts.get_mut(bucket(ms)) {
            *count = count.saturating_add(1);
            self.total += 1;
        }
    }

    /// The time that this share of the calls did not exceed; 0 if nothing was counted.
    pub fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (i, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return middle(i);
            }
        }
        0.0
    }
}

fn bucket(ms: f64) -> usize {
    let doublings = (ms / SHORTEST_MS).log2();
    (doublings * PER_DOUBLING).ceil().clamp(0.0, (BUCKETS - 1) as f64) as usize
}

/// What stands for the times in a bucket.
fn middle(bucket: usize) -> f64 {
    SHORTEST_MS * ((bucket as f64 - 0.5) / PER_DOUBLING).exp2()
}

/// As Prometheus counts: how many were no larger than each bound.
#[derive(Clone, Debug)]
pub struct Distribution {
    pub bounds: &'static [f64],
    counts: Vec<u64>,
    pub count: u64,
    pub sum: f64,
}

impl Distribution {
    pub fn new(bounds: &'static [f64]) -> Distribution {
        Distribution { bounds, counts: vec![0; bounds.len()], count: 0, sum: 0.0 }
    }

    pub fn add(&mut self, value: f64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.count += 1;
        self.sum += value;
    }

    /// Each bound with the number of values up to it.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        self.bounds.iter().zip(&self.counts).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((*bound, *sum))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near_what_was_counted() {
        let mut histogram = Histogram::default();
        for ms in 1..=1000 {
            histogram.add(f64::from(ms));
        }
        for (share, wanted) in [(0.5, 500.0), (0.95, 950.0), (0.0, 1.0), (1.0, 1000.0)] {
            let found = histogram.quantile(share);
            assert!((found / wanted - 1.0).abs() < 0.06, "{share}: {found}");
        }
    }

    #[test]
    fn nothing_counted_is_no_time_and_extremes_have_a_place() {
        assert_eq!(Histogram::default().quantile(0.5), 0.0);
        let mut histogram = Histogram::default();
        for ms in [0.0, 1e-9, 1e12, f64::INFINITY] {
            histogram.add(ms);
        }
        assert!(histogram.quantile(0.5) < 0.001 && histogram.quantile(1.0) > 400_000.0);
    }

    #[test]
    fn a_value_on_a_bound_is_within_it() {
        let mut distribution = Distribution::new(&[1.0, 4.0]);
        [0.5, 1.0, 4.0, 5.0].into_iter().for_each(|value| distribution.add(value));
        assert_eq!(distribution.cumulative().collect::<Vec<_>>(), [(1.0, 2), (4.0, 3)]);
        assert_eq!((distribution.count, distribution.sum), (4, 10.5));
    }
}
