//! How many slots of the Lua stack the results of each function need: what its declaration lets
//! expect, what was seen, and how often the one foretold the other.
//!
//! A prediction is a hint. Whoever follows it still asks Lua for the slots, and pushes nothing that
//! it did not get.

/// What a declaration says of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    pub arguments: usize,
    pub results: usize,
    pub slots: usize,
}

impl Signature {
    /// `types` are those of the results, in the words of the stubs.
    pub fn of<'t>(arguments: usize, types: impl Iterator<Item = &'t str>) -> Signature {
        let needs: Vec<usize> = types.map(slots_of).collect();
        let deepest = needs.iter().copied().max().unwrap_or(0);
        let results = needs.len();
        Signature { arguments, results, slots: results.saturating_sub(1) + deepest }
    }
}

/// A value that is no table takes one; a table of such values itself, a name and a value.
fn slots_of(kind: &str) -> usize {
    match kind {
        "boolean" | "integer" | "number" | "string" | "true" | "zigllms.Handle" => 1,
        _ => 3,
    }
}

/// What is known of one function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    pub slots: usize,
    pub samples: u64,
}

/// What `metrics().stack` sums up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub operations: u64,
    pub exact: u64,
    pub over: u64,
    pub under: u64,
    pub overflows: u64,
    pub max_used: usize,
    used: u64,
}

/// What is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switches {
    pub enabled: bool,
    pub learning: bool,
}

impl Default for Switches {
    fn default() -> Switches {
        Switches { enabled: true, learning: true }
    }
}

#[derive(Debug)]
pub struct Stack {
    pub totals: Totals,
    expected: Vec<usize>,
    learned: Vec<Learned>,
}

impl Stack {
    pub fn new(signatures: impl Iterator<Item = Signature>) -> Stack {
        let expected: Vec<usize> = signatures.map(|signature| signature.slots).collect();
        let learned = vec![Learned::default(); expected.len()];
        Stack { totals: Totals::default(), expected, learned }
    }

    /// Slots that the results of the function are likely to need.
    pub fn predict(&self, function: usize, switches: Switches) -> usize {
        let learned = self.learned.get(function).filter(|_| switches.learning);
        learned
            .map_or(0, |learned| learned.slots)
            .max(self.expected.get(function).copied().unwrap_or(0))
    }

    /// Takes down what they did need.
    #[inline]
    pub fn used(&mut self, function: usize, slots: usize, switches: Switches) {
        if !switches.enabled {
            return;
        }
        let predicted = self.predict(function, switches);
        self.totals.add(predicted, slots);
        if switches.learning
            && let Some(learned) = self.learned.get_mut(function)
        {
            learned.slots = learned.slots.max(slots);
            learned.samples += 1;
        }
    }

    /// What was learned, by function.
    pub fn learned(&self) -> impl Iterator<Item = (usize, Learned)> {
        self.learned.iter().copied().enumerate().filter(|(_, learned)| learned.samples > 0)
    }

    pub fn reset(&mut self) {
        self.totals = Totals::default();
        self.learned.fill(Learned::default());
    }
}

impl Totals {
    fn add(&mut self, predicted: usize, used: usize) {
        self.operations += 1;
        self.exact += u64::from(predicted == used);
        self.over += u64::from(predicted > used);
        self.under += u64::from(predicted < used);
        self.max_used = self.max_used.max(used);
        self.used += used as u64;
    }

    pub fn average(&self) -> f64 {
        self.used as f64 / self.operations.max(1) as f64
    }

    /// The share of predictions that were exact.
    pub fn accuracy(&self) -> f64 {
        self.exact as f64 / self.operations.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: Switches = Switches { enabled: true, learning: true };

    fn stack() -> Stack {
        Stack::new([Signature::of(2, ["string"].into_iter())].into_iter())
    }

    #[test]
    fn a_signature_expects_what_its_results_are() {
        let slots = |types: &[&'static str]| Signature::of(1, types.iter().copied()).slots;
        assert_eq!([slots(&[]), slots(&["string"]), slots(&["table"])], [0, 1, 3]);
        assert_eq!([slots(&["any", "string"]), slots(&["string", "any"])], [4, 4]);
    }

    #[test]
    fn it_predicts_the_most_that_was_seen() {
        let mut stack = stack();
        for used in [1, 5, 2, 5] {
            stack.used(0, used, ON);
        }
        assert_eq!(stack.predict(0, ON), 5);
        let Totals { operations, exact, over, under, max_used, .. } = stack.totals;
        assert_eq!((operations, exact, over, under, max_used), (4, 2, 1, 1, 5));
        assert_eq!((stack.totals.average(), stack.totals.accuracy()), (3.25, 0.5));
        assert_eq!(stack.learned().collect::<Vec<_>>(), [(0, Learned { slots: 5, samples: 4 })]);
    }

    #[test]
    fn without_learning_only_the_declaration_counts() {
        let mut stack = stack();
        let fixed = Switches { learning: false, ..ON };
        stack.used(0, 9, fixed);
        stack.used(0, 9, fixed);
        assert_eq!((stack.predict(0, fixed), stack.totals.under), (1, 2));
        assert_eq!(stack.learned().count(), 0);
        stack.used(0, 9, Switches { enabled: false, ..ON });
        assert_eq!(stack.totals.operations, 2);
    }

    #[test]
    fn a_function_that_nobody_declared_needs_nothing_until_it_was_seen() {
        let mut stack = stack();
        stack.used(7, 3, ON);
        assert_eq!((stack.predict(7, ON), stack.totals.under), (0, 1));
    }
}
