//! The embeddings of a space, kept so that a search is one pass over them, on any thread.
//!
//! They lie in blocks that a search shares. Whoever changes a block while it is searched gets a copy
//! of its own, which costs a few microseconds: the vectors themselves are shared with their entries.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Entry, Kind};

/// Vectors in a block.
const BLOCK: usize = 256;

/// Products that are added up side by side: the compiler makes vector instructions of them.
const LANES: usize = 16;

pub type Block = Arc<Vec<Item>>;

/// What a search needs of an entry.
#[derive(Clone, Debug)]
pub struct Item {
    pub key: Arc<[u8]>,
    pub vector: Vector,
    pub version: u64,
    pub kind: Kind,
    pub tags: Arc<[String]>,
}

#[derive(Debug, Default)]
pub struct Vectors {
    places: HashMap<Arc<[u8]>, usize>,
    blocks: Vec<Block>,
}

impl Vectors {
    /// Knows the entry that a key has now.
    pub fn note(&mut self, key: &[u8], entry: &Entry) {
        let Some(extra) = &entry.extra else { return self.remove(key) };
        let Some(numbers) = extra.embedding.clone() else { return self.remove(key) };
        let place = self.places.get_key_value(key).map(|(key, at)| (key.clone(), *at));
        let key = place.as_ref().map_or_else(|| Arc::from(key), |(key, _)| key.clone());
        let (version, kind) = (entry.version, entry.kind);
        let tags = extra.tags.as_slice().into();
        let item = Item { key, vector: Vector::new(numbers), version, kind, tags };
        match place {
            Some((_, at)) => self.set(at, item),
            None => self.push(item),
        }
    }

    pub fn remove(&mut self, key: &[u8]) {
        if self.places.is_empty() {
            return;
        }
        let Some(at) = self.places.remove(key) else { return };
        let Some(last) = self.pop() else { return };
        if &*last.key != key {
            self.places.insert(last.key.clone(), at);
            self.set(at, last);
        }
    }

    /// All of them, as they are now.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    fn push(&mut self, item: Item) {
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Arc::default());
        }
        self.places.insert(item.key.clone(), self.places.len());
        if let Some(block) = self.blocks.last_mut() {
            Arc::make_mut(block).push(item);
        }
    }

    fn pop(&mut self) -> Option<Item> {
        let block = self.blocks.last_mut()?;
        let item = Arc::make_mut(block).pop();
        if block.is_empty() {
            self.blocks.pop();
        }
        item
    }

    fn set(&mut self, at: usize, item: Item) {
        let block = self.blocks.get_mut(at / BLOCK).map(Arc::make_mut);
        if let Some(place) = block.and_then(|block| block.get_mut(at % BLOCK)) {
            *place = item;
        }
    }
}

/// Numbers with their length in space.
#[derive(Clone, Debug)]
pub struct Vector {
    numbers: Arc<[f32]>,
    length: f64,
}

impl Vector {
    pub fn new(numbers: Arc<[f32]>) -> Vector {
        let length = numbers.iter().map(|n| f64::from(*n) * f64::from(*n)).sum::<f64>().sqrt();
        Vector { numbers, length }
    }

    pub fn dimensions(&self) -> usize {
        self.numbers.len()
    }

    /// The cosine of the angle to a direction of as many dimensions; zero points nowhere.
    pub fn similarity(&self, direction: &Direction) -> Option<f64> {
        let product = dot(&direction.0, &self.numbers);
        (self.length > 0.0).then(|| (product / self.length).clamp(-1.0, 1.0))
    }
}

/// Numbers of length one.
#[derive(Clone, Debug)]
pub struct Direction(Vec<f64>);

impl Direction {
    /// None for zero, and for what is not finite.
    pub fn of(mut numbers: Vec<f64>) -> Option<Direction> {
        let most = numbers.iter().fold(0.0, |most: f64, n| most.max(n.abs()));
        // So that no square is too large or too small to be told from zero.
        numbers.iter_mut().for_each(|n| *n /= most);
        let length = numbers.iter().map(|n| n * n).sum::<f64>().sqrt();
        numbers.iter_mut().for_each(|n| *n /= length);
        (most > 0.0 && length.is_finite()).then_some(Direction(numbers))
    }

    pub fn dimensions(&self) -> usize {
        self.0.len()
    }
}

/// In 64 bits: the order of near neighbours is that of exact arithmetic.
fn dot(a: &[f64], b: &[f32]) -> f64 {
    let mut sums = [0.0; LANES];
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * f64::from(*b);
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| a * f64::from(*b)).sum::<f64>();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::super::{Extra, Value};
    use super::*;

    fn entry(numbers: Option<&[f32]>) -> Entry {
        let extra = Extra { embedding: numbers.map(Arc::from), ..Extra::default() };
        Entry { extra: Some(Box::new(extra)), ..Entry::new(Value::Bool(true), Kind::Long) }
    }

    fn known(vectors: &Vectors) -> Vec<(Vec<u8>, Vec<f32>)> {
        let items = vectors.blocks().iter().flat_map(|block| block.iter());
        let mut all: Vec<_> =
            items.map(|item| (item.key.to_vec(), item.vector.numbers.to_vec())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    #[test]
    fn the_vectors_are_those_of_the_entries_whatever_became_of_them() {
        let mut vectors = Vectors::default();
        let mut model = std::collections::BTreeMap::new();
        let mut seed = 7_u64;
        for step in 0..20_000_u32 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = format!("k{}", (seed >> 33) % 900).into_bytes();
            match (seed >> 20) % 5 {
                0 => {
                    vectors.remove(&key);
                    model.remove(&key);
                }
                1 => {
                    vectors.note(&key, &entry(None));
                    model.remove(&key);
                }
                _ => {
                    vectors.note(&key, &entry(Some(&[step as f32])));
                    model.insert(key, vec![step as f32]);
                }
            }
        }
        assert_eq!(known(&vectors), model.into_iter().collect::<Vec<_>>());
        assert!(vectors.blocks().iter().rev().skip(1).all(|block| block.len() == BLOCK));
        for (key, _) in known(&vectors) {
            vectors.remove(&key);
        }
        assert!(vectors.blocks().is_empty() && vectors.places.is_empty());
    }

    #[test]
    fn what_is_searched_stays_as_it_was() {
        let mut vectors = Vectors::default();
        vectors.note(b"a", &entry(Some(&[1.0])));
        let before = vectors.blocks().to_vec();
        vectors.note(b"a", &entry(Some(&[2.0])));
        vectors.note(b"b", &entry(Some(&[3.0])));
        assert_eq!((before.len(), before[0].len()), (1, 1));
        assert_eq!(&*before[0][0].vector.numbers, [1.0]);
        assert_eq!(known(&vectors).len(), 2);
    }

    #[test]
    fn similarity_is_the_cosine() {
        let of = |a: &[f64], b: &[f32]| {
            Vector::new(b.into()).similarity(&Direction::of(a.to_vec()).unwrap()).unwrap()
        };
        assert_eq!(of(&[1.0, 0.0], &[5.0, 0.0]), 1.0);
        assert_eq!(of(&[1.0, 0.0], &[0.0, 2.0]), 0.0);
        assert!((of(&[1.0, 1.0], &[-3.0, -3.0]) + 1.0).abs() < 1e-15);
        // Of any size, and whatever the number of lanes leaves over.
        assert!((of(&[1e300, 1e300], &[1e38, 1e38]) - 1.0).abs() < 1e-15);
        assert!((of(&[1e-300, 0.0], &[1e-44, 0.0]) - 1.0).abs() < 1e-15);
        for n in [1, 15, 16, 17, 384] {
            let b: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin()).collect();
            let a: Vec<f64> = (0..n).map(|i| (f64::from(i) * 0.3).cos()).collect();
            let sum = |f: &dyn Fn(usize) -> f64| (0..n as usize).map(f).sum::<f64>();
            let product = sum(&|i| a[i] * f64::from(b[i]));
            let lengths = sum(&|i| a[i] * a[i]).sqrt() * sum(&|i| f64::from(b[i]).powi(2)).sqrt();
            if lengths > 0.0 {
                assert!((of(&a, &b) - product / lengths).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn nothing_is_like_zero() {
        for bad in [vec![], vec![0.0, 0.0], vec![f64::NAN], vec![f64::INFINITY]] {
            assert!(Direction::of(bad).is_none());
        }
        let direction = Direction::of(vec![1.0]).unwrap();
        assert_eq!(Vector::new([0.0].into()).similarity(&direction), None);
    }
}
