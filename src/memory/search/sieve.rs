//! The best of all entries that a search looks at.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::super::vectors::{Block, Direction, Vector};
use super::super::{Entry, Kind, Selection};

/// Arithmetic may miss a score by this much: who asks for 1 means the same direction.
const ROUNDING: f64 = 1e-12;

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub selection: Selection,
    pub limit: usize,
    pub min_score: Option<f64>,
}

/// One that was found.
#[derive(Debug)]
pub struct Hit {
    pub score: f64,
    /// The whole key, as an address makes it.
    pub key: Arc<[u8]>,
    pub found: Found,
}

#[derive(Debug)]
pub enum Found {
    /// In the process, with the version it had.
    Here(u64),
    Stored(Entry),
}

pub struct Sieve {
    wanted: Wanted,
    direction: Direction,
    /// The worst on top.
    best: BinaryHeap<Reverse<Hit>>,
    /// Entries have been looked at that are vectors of the same space.
    compared: bool,
    /// The dimensions of one that is not.
    other: Option<usize>,
}

impl Sieve {
    pub fn new(wanted: Wanted, direction: Direction) -> Sieve {
        Sieve { wanted, direction, best: BinaryHeap::new(), compared: false, other: None }
    }

    pub fn all(&mut self, blocks: &[Block]) {
        for item in blocks.iter().flat_map(|block| block.iter()) {
            if self.wanted.selection.takes_any(&item.key, item.kind, &item.tags)
                && let Some(score) = self.score(&item.vector)
                && self.is_good(score, &item.key)
            {
                self.take(Hit { score, key: item.key.clone(), found: Found::Here(item.version) });
            }
        }
    }

    pub fn stored(&mut self, key: Vec<u8>, entry: Entry) {
        let numbers = entry.extra.as_ref().and_then(|extra| extra.embedding.clone());
        if let Some(numbers) = numbers
            && self.wanted.selection.takes_any(&key, Kind::Persistent, entry.tags())
            && let Some(score) = self.score(&Vector::new(numbers))
            && self.is_good(score, &key)
        {
            self.take(Hit { score, key: key.into(), found: Found::Stored(entry) });
        }
    }

    fn score(&mut self, vector: &Vector) -> Option<f64> {
        if vector.dimensions() != self.direction.dimensions() {
            self.other = Some(vector.dimensions());
            return None;
        }
        self.compared = true;
        vector.similarity(&self.direction)
    }

    fn is_good(&self, score: f64, key: &[u8]) -> bool {
        if self.wanted.min_score.is_some_and(|least| score < least - ROUNDING) {
            return false;
        }
        match self.best.peek() {
            Some(Reverse(worst)) if self.best.len() >= self.wanted.limit => {
                order((score, key), (worst.score, &worst.key)) == Ordering::Greater
            }
            _ => true,
        }
    }

    fn take(&mut self, hit: Hit) {
        self.best.push(Reverse(hit));
        if self.best.len() > self.wanted.limit {
            self.best.pop();
        }
    }

    /// The dimensions of the direction and of entries, where there were none to compare it with.
    pub fn mismatch(&self) -> Option<(usize, usize)> {
        let other = self.other.filter(|_| !self.compared)?;
        Some((self.direction.dimensions(), other))
    }

    /// The best first.
    pub fn into_hits(self) -> Vec<Hit> {
        self.best.into_sorted_vec().into_iter().map(|Reverse(hit)| hit).collect()
    }
}

/// The better is the greater; of two as good, the one whose key comes first.
fn order(a: (f64, &[u8]), b: (f64, &[u8])) -> Ordering {
    a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1))
}

impl Ord for Hit {
    fn cmp(&self, other: &Hit) -> Ordering {
        order((self.score, &self.key), (other.score, &other.key))
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Hit) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Hit {
    fn eq(&self, other: &Hit) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Hit {}

#[cfg(test)]
mod tests {
    use super::super::super::vectors::Vectors;
    use super::super::super::{Extra, Value};
    use super::*;

    fn entry(numbers: &[f32]) -> Entry {
        let extra = Extra { embedding: Some(numbers.into()), ..Extra::default() };
        Entry { extra: Some(Box::new(extra)), ..Entry::new(Value::Bool(true), Kind::Long) }
    }

    fn sieve(limit: usize, min_score: Option<f64>, direction: &[f64]) -> Sieve {
        let wanted = Wanted { selection: Selection::default(), limit, min_score };
        Sieve::new(wanted, Direction::of(direction.to_vec()).unwrap())
    }

    fn keys(sieve: Sieve) -> Vec<String> {
        let hits = sieve.into_hits().into_iter();
        hits.map(|hit| String::from_utf8_lossy(&hit.key).into_owned()).collect()
    }

    #[test]
    fn the_best_are_those_of_sorting_all() {
        let mut seed = 3_u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (f64::from(seed >> 8) / f64::from(1 << 23) - 1.0) as f32
        };
        let mut vectors = Vectors::default();
        let (mut model, mut numbers) = (Vec::new(), Vec::new());
        for n in 0..3_000 {
            // Every tenth points as the one before: a tie.
            if n % 10 != 9 {
                numbers = (0..8).map(|_| random()).collect();
            }
            let key = format!("{:05}", n * 7919 % 3_000);
            vectors.note(key.as_bytes(), &entry(&numbers));
            let query = 0.1..;
            let product: f64 = numbers
                .iter()
                .zip(0..)
                .map(|(x, i)| f64::from(*x) * (query.start + f64::from(i)))
                .sum();
            let length = numbers.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            model.push((product / length, key));
        }
        model.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let direction: Vec<f64> = (0..8).map(|i| 0.1 + f64::from(i)).collect();
        for limit in [1, 10, 100, 3_000, 9_000] {
            let mut sieve = sieve(limit, None, &direction);
            sieve.all(vectors.blocks());
            let expected: Vec<_> = model.iter().take(limit).map(|(_, key)| key.clone()).collect();
            assert_eq!(keys(sieve), expected, "{limit}");
        }
    }

    #[test]
    fn scores_have_a_floor_that_rounding_does_not_move() {
        let mut vectors = Vectors::default();
        vectors.note(b"same", &entry(&[0.1, 0.7, 0.3]));
        vectors.note(b"other", &entry(&[0.1, 0.7, 0.31]));
        let same = [0.1_f32, 0.7, 0.3].map(|n| f64::from(n) * 3.0);
        let mut sieve = sieve(9, Some(1.0), &same);
        sieve.all(vectors.blocks());
        assert_eq!(keys(sieve), ["same"]);
    }

    #[test]
    fn vectors_of_other_spaces_are_passed_over_and_told_where_there_are_no_others() {
        let mut sieve = sieve(9, None, &[1.0, 1.0]);
        sieve.stored(b"a".to_vec(), entry(&[1.0, 1.0, 1.0]));
        assert_eq!(sieve.mismatch(), Some((2, 3)));
        sieve.stored(b"b".to_vec(), entry(&[1.0, 0.0]));
        assert_eq!(sieve.mismatch(), None);
        assert_eq!(keys(sieve), ["b"]);
    }
}
