//! Which entry goes next: a row of buckets, each a row of entries. The first entry of the first
//! bucket goes next.
//!
//! `fifo` and `lru` have one bucket, in the order of arrival or of use; `lfu` has one for each number
//! of uses, ascending, and in each the entry that waits longest stands first. So every operation
//! mends a handful of links, however many entries there are.

use super::Eviction;

/// No entry, no bucket.
const NONE: u32 = u32::MAX;

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    bucket: u32,
    before: u32,
    after: u32,
}

const NOWHERE: Place = Place { bucket: NONE, before: NONE, after: NONE };

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// How often each of its entries was used; 1 for all in orders that do not count.
    uses: u64,
    first: u32,
    last: u32,
    before: u32,
    after: u32,
}

const GONE: Bucket = Bucket { uses: 0, first: NONE, last: NONE, before: NONE, after: NONE };

/// The order of entries that are known by small numbers.
#[derive(Debug)]
pub struct Order {
    eviction: Eviction,
    places: Vec<Place>,
    buckets: Vec<Bucket>,
    /// Buckets to be used again.
    free: Vec<u32>,
    first: u32,
    /// Links that were looked at: the measure of what an operation costs.
    #[cfg(test)]
    pub steps: std::cell::Cell<u64>,
}

impl Order {
    pub fn new(eviction: Eviction) -> Order {
        Order {
            eviction,
            places: Vec::new(),
            buckets: Vec::new(),
            free: Vec::new(),
            first: NONE,
            #[cfg(test)]
            steps: std::cell::Cell::new(0),
        }
    }

    /// The entry that goes next.
    pub fn next(&self) -> Option<u32> {
        Some(self.bucket(self.first).first).filter(|entry| *entry != NONE)
    }

    pub fn add(&mut self, entry: u32) {
        if self.places.len() <= entry as usize {
            self.places.resize(entry as usize + 1, NOWHERE);
        }
        let fits = self.first != NONE && self.bucket(self.first).uses == 1;
        let bucket = if fits { self.first } else { self.insert_bucket(1, NONE) };
        self.append(entry, bucket);
    }

    /// The entry was used.
    pub fn touch(&mut self, entry: u32) {
        let place = self.place(entry);
        match self.eviction {
            Eviction::Fifo => {}
            Eviction::Lru if place.after == NONE => {}
            Eviction::Lru => {
                self.detach(entry);
                self.append(entry, place.bucket);
            }
            Eviction::Lfu => self.promote(entry, place.bucket),
        }
    }

    pub fn remove(&mut self, entry: u32) {
        let bucket = self.place(entry).bucket;
        self.detach(entry);
        self.drop_if_empty(bucket);
    }

    /// Moves an entry to the bucket of those that were used once more.
    fn promote(&mut self, entry: u32, bucket: u32) {
        let Bucket { uses, after, .. } = self.bucket(bucket);
        let fits = after != NONE && self.bucket(after).uses == uses + 1;
        let next = if fits { after } else { self.insert_bucket(uses + 1, bucket) };
        self.detach(entry);
        self.append(entry, next);
        self.drop_if_empty(bucket);
    }

    fn append(&mut self, entry: u32, bucket: u32) {
        let last = self.bucket(bucket).last;
        self.set_place(entry, |place| *place = Place { bucket, before: last, after: NONE });
        self.set_place(last, |place| place.after = entry);
        self.set_bucket(bucket, |bucket| {
            bucket.last = entry;
            if bucket.first == NONE {
                bucket.first = entry;
            }
        });
    }

    fn detach(&mut self, entry: u32) {
        let Place { bucket, before, after } = self.place(entry);
        self.set_place(before, |place| place.after = after);
        self.set_place(after, |place| place.before = before);
        self.set_bucket(bucket, |bucket| {
            if before == NONE {
                bucket.first = after;
            }
            if after == NONE {
                bucket.last = before;
            }
        });
        self.set_place(entry, |place| *place = NOWHERE);
    }

    /// A new bucket behind `before`; at the front if that is none.
    fn insert_bucket(&mut self, uses: u64, before: u32) -> u32 {
        let after = if before == NONE { self.first } else { self.bucket(before).after };
        let new = Bucket { uses, before, after, ..GONE };
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.buckets.push(GONE);
                self.buckets.len() as u32 - 1
            }
        };
        self.set_bucket(at, |bucket| *bucket = new);
        self.set_bucket(after, |bucket| bucket.before = at);
        if before == NONE {
            self.first = at;
        }
        self.set_bucket(before, |bucket| bucket.after = at);
        at
    }

    fn drop_if_empty(&mut self, at: u32) {
        let Bucket { first, before, after, .. } = self.bucket(at);
        if at == NONE || first != NONE {
            return;
        }
        if before == NONE {
            self.first = after;
        }
        self.set_bucket(before, |bucket| bucket.after = after);
        self.set_bucket(after, |bucket| bucket.before = before);
        self.free.push(at);
    }

    fn place(&self, entry: u32) -> Place {
        self.step();
        self.places.get(entry as usize).copied().unwrap_or(NOWHERE)
    }

    fn bucket(&self, at: u32) -> Bucket {
        self.step();
        self.buckets.get(at as usize).copied().unwrap_or(GONE)
    }

    /// Nothing happens for [`NONE`].
    fn set_place(&mut self, entry: u32, change: impl FnOnce(&mut Place)) {
        self.step();
        if let Some(place) = self.places.get_mut(entry as usize) {
            change(place);
        }
    }

    fn set_bucket(&mut self, at: u32, change: impl FnOnce(&mut Bucket)) {
        self.step();
        if let Some(bucket) = self.buckets.get_mut(at as usize) {
            change(bucket);
        }
    }

    #[cfg(test)]
    fn step(&self) {
        self.steps.set(self.steps.get() + 1);
    }

    #[cfg(not(test))]
    #[inline(always)]
    fn step(&self) {}
}
