//! The memo against one that looks at every entry each time, and what its operations cost.

use super::*;

/// A generator of random numbers that gives the same ones each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

const POLICIES: [Eviction; 3] = [Eviction::Lru, Eviction::Lfu, Eviction::Fifo];

/// How many rounds a sweep takes; `ZIGLLMS_SWEEP=full` asks for many.
fn rounds(small: usize, full: usize) -> usize {
    if std::env::var("ZIGLLMS_SWEEP").as_deref() == Ok("full") { full } else { small }
}

/// The same in the plainest way.
struct Plain {
    limits: Limits,
    entries: Vec<PlainEntry>,
    tick: u64,
}

#[derive(Clone)]
struct PlainEntry {
    key: Vec<u8>,
    group: u16,
    stamp: Stamp,
    until: Option<Moment>,
    bytes: usize,
    value: u64,
    arrived: u64,
    used: u64,
    uses: u64,
}

impl Plain {
    fn get(&mut self, key: &[u8], stamp: Stamp, now: Moment) -> Result<u64, Absent> {
        self.tick += 1;
        let at = self.entries.iter().position(|e| e.key == key).ok_or(Absent::Unknown)?;
        if self.entries[at].stamp != stamp {
            self.entries.remove(at);
            return Err(Absent::Outdated);
        }
        if self.entries[at].until.is_some_and(|until| now >= until) {
            self.entries.remove(at);
            return Err(Absent::Expired);
        }
        let entry = &mut self.entries[at];
        (entry.used, entry.uses) = (self.tick, entry.uses + 1);
        Ok(entry.value)
    }

    /// Of those that were used equally often, the one that has been so for longest goes.
    fn next(&self) -> usize {
        let rank = |e: &PlainEntry| match self.limits.eviction {
            Eviction::Lru => (0, e.used),
            Eviction::Lfu => (e.uses, e.used),
            Eviction::Fifo => (0, e.arrived),
        };
        (0..self.entries.len()).min_by_key(|at| rank(&self.entries[*at])).unwrap()
    }

    fn bytes(&self) -> usize {
        self.entries.iter().map(|e| e.bytes).sum()
    }

    fn put(&mut self, mut new: PlainEntry) -> u64 {
        self.tick += 1;
        self.entries.retain(|e| e.key != new.key);
        if self.limits.entries == 0 || new.bytes > self.limits.bytes {
            return 0;
        }
        let gone = self.shrink(self.limits.entries - 1, self.limits.bytes - new.bytes);
        (new.arrived, new.used, new.uses) = (self.tick, self.tick, 1);
        self.entries.push(new);
        gone
    }

    fn shrink(&mut self, entries: usize, bytes: usize) -> u64 {
        let mut gone = 0;
        while self.entries.len() > entries || self.bytes() > bytes {
            let next = self.next();
            self.entries.remove(next);
            gone += 1;
        }
        gone
    }

    fn limit(&mut self, limits: Limits) -> u64 {
        let other = limits.eviction != self.limits.eviction;
        self.limits = limits;
        if other {
            return std::mem::take(&mut self.entries).len() as u64;
        }
        self.shrink(limits.entries, limits.bytes)
    }
}

/// Both get the same random operations and must give the same answers.
fn compare(eviction: Eviction, seed: u64, operations: usize) {
    let mut random = Random(seed);
    let limits = |random: &mut Random, eviction| Limits {
        entries: random.below(12) as usize,
        bytes: 400 + random.below(2500) as usize,
        eviction,
    };
    let first = limits(&mut random, eviction);
    let mut memo = Memo::new(first);
    let mut plain = Plain { limits: first, entries: Vec::new(), tick: 0 };
    let (mut generations, mut now) = ([0u64; 4], Moment::START);
    for step in 0..operations as u64 {
        let key = format!("key {}", random.below(16)).into_bytes();
        match random.below(100) {
            0..45 => {
                let found = memo.get(&key, generations, || now).copied();
                assert_eq!(found, plain.get(&key, generations, now), "{eviction:?} {seed} {step}");
            }
            45..85 => {
                let weight = random.below(300) as usize;
                let until = (random.below(2) == 0).then(|| now.after_ms(random.below(50)));
                let group = random.below(3) as u16;
                let bytes = key.len() + weight + OVERHEAD;
                let (stamp, value) = (generations, step);
                let (arrived, used, uses) = (0, 0, 0);
                let same = PlainEntry {
                    key: key.clone(),
                    group,
                    stamp,
                    until,
                    bytes,
                    value,
                    arrived,
                    used,
                    uses,
                };
                let key = key.into();
                let gone = memo.put(New { key, group, stamp, until, weight, value });
                assert_eq!(gone, plain.put(same), "{eviction:?} {seed} {step}");
            }
            85..92 => generations[random.below(4) as usize] += 1,
            92..97 => now = now.after_ms(random.below(30)),
            97 => {
                let group = random.below(3) as u16;
                let before = plain.entries.len();
                plain.entries.retain(|e| e.group != group);
                let gone = memo.drop_groups(|other| other == group);
                assert_eq!(gone, before - plain.entries.len());
            }
            98 => {
                let new = limits(&mut random, eviction);
                assert_eq!(memo.limit(new), plain.limit(new), "{eviction:?} {seed} {step}");
            }
            _ => {
                let other = POLICIES[random.below(3) as usize];
                let new = limits(&mut random, other);
                assert_eq!(memo.limit(new), plain.limit(new), "{eviction:?} {seed} {step}");
            }
        }
        assert_eq!((memo.len(), memo.bytes()), (plain.entries.len(), plain.bytes()));
    }
}

#[test]
fn it_does_what_the_plainest_memo_does() {
    for eviction in POLICIES {
        for seed in 1..=rounds(20, 2000) as u64 {
            compare(eviction, seed.wrapping_mul(0x9E37_79B9_7F4A_7C15), 500);
        }
    }
}

fn number(n: u64, value: u64) -> New<u64> {
    New { key: n.to_le_bytes().into(), group: 0, stamp: [0; 4], until: None, weight: 8, value }
}

/// A memo of that size, full, whose entries were used unequally often.
fn filled(eviction: Eviction, entries: usize) -> Memo<u64> {
    let mut memo = Memo::new(Limits { entries, bytes: usize::MAX, eviction });
    for n in 0..entries as u64 {
        assert_eq!(memo.put(number(n, n)), 0);
    }
    (0..entries as u64 / 2).for_each(|n| {
        let key = (n * n % entries as u64).to_le_bytes();
        let _ = memo.get(&key, [0; 4], || Moment::START);
    });
    memo
}

/// The most links one operation looks at, among many uses and replacements.
fn dearest(eviction: Eviction, entries: usize) -> u64 {
    let mut memo = filled(eviction, entries);
    let mut random = Random(7);
    let mut most = 0;
    for n in 0..2000 {
        let before = memo.order.steps.get();
        let known = random.below(entries as u64 * 2);
        let _ = memo.get(&known.to_le_bytes(), [0; 4], || Moment::START);
        let between = memo.order.steps.get();
        assert!(memo.put(number(entries as u64 * 3 + n, n)) <= 1);
        most = most.max(between - before).max(memo.order.steps.get() - between);
    }
    most
}

#[test]
fn an_operation_costs_the_same_however_many_entries_there_are() {
    for eviction in POLICIES {
        let few = dearest(eviction, 1000);
        let many = dearest(eviction, rounds(50_000, 1_000_000));
        assert!(few > 0 && many <= few, "{eviction:?}: {few} links, with many entries {many}");
    }
}

#[test]
fn keys_of_one_hash_are_told_apart() {
    let mut memo = filled(Eviction::Lru, 5000);
    for n in 0..5000u64 {
        assert_eq!(memo.get(&n.to_le_bytes(), [0; 4], || Moment::START), Ok(&n));
    }
    // The hash is an index only: an entry found by a foreign hash is not taken for the key.
    let hash = memo.hasher.hash_one(&7u64.to_le_bytes()[..]);
    assert_eq!(memo.find(hash, &8u64.to_le_bytes()), None);
}

#[test]
fn what_is_too_large_pushes_nothing_out() {
    let limits = Limits { entries: 10, bytes: 1000, eviction: Eviction::Lru };
    let mut memo = Memo::new(limits);
    memo.put(number(1, 1));
    assert_eq!(memo.put(New { weight: 5000, ..number(2, 2) }), 0);
    assert_eq!(memo.len(), 1);
    // An older answer to the same question does not outlive the newer one.
    memo.put(New { weight: 5000, ..number(1, 3) });
    assert!(memo.is_empty());
}
