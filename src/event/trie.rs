//! Which patterns match a name: a tree of their segments. Finding them costs as much as the name is
//! long and as many as match it, however many others there are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::pattern::{End, Pattern, Step};

#[derive(Debug, Default)]
pub struct Trie {
    root: Node,
}

/// Most nodes are leaves.
#[derive(Debug, Default)]
struct Node {
    /// Patterns that end here.
    here: Numbers,
    branches: Option<Box<Branches>>,
}

#[derive(Debug, Default)]
struct Branches {
    exact: HashMap<Box<str>, Node>,
    /// Behind `*`.
    one: Node,
    /// Behind `**`.
    any: Node,
    /// Patterns that take any rest of the name.
    rest: Numbers,
    /// The same, if it begins with that text.
    prefixes: BTreeMap<Box<str>, Numbers>,
}

/// Mostly of one pattern.
#[derive(Debug, Default)]
enum Numbers {
    #[default]
    None,
    One(u64),
    #[allow(clippy::box_collection)] // most leaves hold one number, and are to be small
    Many(Box<BTreeSet<u64>>),
}

impl Trie {
    pub fn insert(&mut self, pattern: &Pattern, number: u64) {
        let mut node = &mut self.root;
        for step in &pattern.steps {
            node = node.branches.get_or_insert_default().child(step);
        }
        match &pattern.end {
            End::Nothing => node.here.insert(number),
            End::Rest => node.branches.get_or_insert_default().rest.insert(number),
            End::Prefix(text) => {
                let branches = node.branches.get_or_insert_default();
                branches.prefixes.entry(text.clone()).or_default().insert(number);
            }
        }
    }

    pub fn remove(&mut self, pattern: &Pattern, number: u64) {
        self.root.remove(&pattern.steps, &pattern.end, number);
    }

    /// The numbers of all patterns that match, in no order.
    pub fn matching(&self, name: &str) -> Vec<u64> {
        let found = self.find(name);
        found.iter().flat_map(|numbers| numbers.iter()).collect()
    }

    /// Whether any pattern matches.
    pub fn matches(&self, name: &str) -> bool {
        !self.find(name).is_empty()
    }

    /// Follows all ways through the tree at once: a node is visited once for each segment at most.
    fn find(&self, name: &str) -> Vec<&Numbers> {
        let mut found = Vec::new();
        let mut nodes = Vec::new();
        enter(&self.root, false, &mut nodes);
        for segment in name.split('.') {
            let before = std::mem::take(&mut nodes);
            for (node, stays) in before {
                if stays {
                    enter(node, true, &mut nodes);
                }
                node.follow(segment, &mut nodes, &mut found);
            }
        }
        nodes.iter().for_each(|(node, _)| keep(&node.here, &mut found));
        found
    }
}

/// A node on the way, and whether it stays there for any number of segments.
type Visited<'t> = (&'t Node, bool);

fn enter<'t>(node: &'t Node, stays: bool, nodes: &mut Vec<Visited<'t>>) {
    if nodes.iter().any(|(known, _)| std::ptr::eq(*known, node)) {
        return;
    }
    nodes.push((node, stays));
    if let Some(branches) = node.branches.as_ref().filter(|b| !b.any.is_empty()) {
        enter(&branches.any, true, nodes);
    }
}

/// The same end may be reached in several ways.
fn keep<'t>(numbers: &'t Numbers, found: &mut Vec<&'t Numbers>) {
    if !numbers.is_empty() && !found.iter().any(|known| std::ptr::eq(*known, numbers)) {
        found.push(numbers);
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        self.here.is_empty() && self.branches.is_none()
    }

    /// Where a segment leads from here.
    fn follow<'t>(
        &'t self,
        segment: &str,
        nodes: &mut Vec<Visited<'t>>,
        found: &mut Vec<&'t Numbers>,
    ) {
        let Some(branches) = &self.branches else { return };
        if let Some(node) = branches.exact.get(segment) {
            enter(node, false, nodes);
        }
        if !branches.one.is_empty() {
            enter(&branches.one, false, nodes);
        }
        keep(&branches.rest, found);
        branches.beginnings(segment, found);
    }

    /// Takes a number out, and all that is left empty by it.
    fn remove(&mut self, steps: &[Step], end: &End, number: u64) {
        let Some((step, rest)) = steps.split_first() else {
            return self.remove_here(end, number);
        };
        let Some(branches) = &mut self.branches else { return };
        branches.child(step).remove(rest, end, number);
        branches.prune(step);
        self.prune();
    }

    fn remove_here(&mut self, end: &End, number: u64) {
        match (end, &mut self.branches) {
            (End::Nothing, _) => self.here.remove(number),
            (End::Rest, Some(branches)) => branches.rest.remove(number),
            (End::Prefix(text), Some(branches)) => branches.remove_prefix(text, number),
            (_, None) => {}
        }
        self.prune();
    }

    fn prune(&mut self) {
        if self.branches.as_ref().is_some_and(|branches| branches.is_empty()) {
            self.branches = None;
        }
    }
}

impl Branches {
    fn child(&mut self, step: &Step) -> &mut Node {
        match step {
            Step::Exact(text) => self.exact.entry(text.clone()).or_default(),
            Step::One => &mut self.one,
            Step::Any => &mut self.any,
        }
    }

    fn prune(&mut self, step: &Step) {
        if let Step::Exact(text) = step
            && self.exact.get(text).is_some_and(Node::is_empty)
        {
            self.exact.remove(text);
        }
    }

    fn is_empty(&self) -> bool {
        let nodes = self.exact.is_empty() && self.one.is_empty() && self.any.is_empty();
        nodes && self.rest.is_empty() && self.prefixes.is_empty()
    }

    /// The patterns whose last segment is a beginning of this one.
    fn beginnings<'t>(&'t self, segment: &str, found: &mut Vec<&'t Numbers>) {
        if self.prefixes.is_empty() {
            return;
        }
        let ends = segment.char_indices().map(|(at, c)| at + c.len_utf8());
        for text in ends.filter_map(|end| segment.get(..end)) {
            if let Some(numbers) = self.prefixes.get(text) {
                keep(numbers, found);
            }
        }
    }

    fn remove_prefix(&mut self, text: &str, number: u64) {
        if let Some(numbers) = self.prefixes.get_mut(text) {
            numbers.remove(number);
            if numbers.is_empty() {
                self.prefixes.remove(text);
            }
        }
    }
}

impl Numbers {
    fn is_empty(&self) -> bool {
        matches!(self, Numbers::None)
    }

    fn insert(&mut self, number: u64) {
        match self {
            Numbers::None => *self = Numbers::One(number),
            Numbers::One(first) => *self = Numbers::Many(Box::new([*first, number].into())),
            Numbers::Many(all) => drop(all.insert(number)),
        }
    }

    fn remove(&mut self, number: u64) {
        match self {
            Numbers::One(only) if *only == number => *self = Numbers::None,
            Numbers::Many(all) => {
                all.remove(&number);
                if all.is_empty() {
                    *self = Numbers::None;
                }
            }
            _ => {}
        }
    }

    fn iter(&self) -> impl Iterator<Item = u64> {
        let (one, many) = match self {
            Numbers::None => (None, None),
            Numbers::One(number) => (Some(*number), None),
            Numbers::Many(all) => (None, Some(&**all)),
        };
        one.into_iter().chain(many.into_iter().flatten().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trie(patterns: &[&str]) -> Trie {
        let mut trie = Trie::default();
        for (number, text) in patterns.iter().enumerate() {
            trie.insert(&Pattern::parse(text).unwrap(), number as u64);
        }
        trie
    }

    fn matching(trie: &Trie, name: &str) -> Vec<u64> {
        let mut numbers = trie.matching(name);
        numbers.sort_unstable();
        numbers
    }

    /// All names of up to four of these segments.
    fn names() -> Vec<String> {
        let segments = ["a", "b", "ab", ""];
        let mut names: Vec<String> = segments.iter().map(|s| (*s).to_owned()).collect();
        let mut from = 0;
        for _ in 0..3 {
            let longer: Vec<String> = names[from..]
                .iter()
                .flat_map(|name| segments.iter().map(move |s| format!("{name}.{s}")))
                .collect();
            from = names.len();
            names.extend(longer);
        }
        names
    }

    const PATTERNS: &[&str] = &[
        "*",
        "**",
        "a",
        "a.*",
        "a.**",
        "a.b",
        "a.*.b",
        "**.b",
        "**.a.**",
        "a*",
        "a.a*",
        "*.b.*",
        "a.**.b",
        "**.*",
        "*.*",
        "*.**",
        "**.a*",
        "a.**.*.b*",
        "b.ab",
        "*.a.b",
        "..*",
        "a..b",
    ];

    #[test]
    fn it_finds_what_each_pattern_by_itself_matches() {
        let trie = trie(PATTERNS);
        let patterns: Vec<_> = PATTERNS.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        for name in names() {
            let expected: Vec<u64> =
                (0..).zip(&patterns).filter(|(_, p)| p.matches(&name)).map(|(n, _)| n).collect();
            assert_eq!(matching(&trie, &name), expected, "{name:?}");
            assert_eq!(trie.matches(&name), !expected.is_empty());
        }
    }

    #[test]
    fn what_is_removed_leaves_nothing_behind() {
        let mut trie = trie(PATTERNS);
        for (number, text) in PATTERNS.iter().enumerate().rev() {
            let pattern = Pattern::parse(text).unwrap();
            trie.insert(&pattern, 1000);
            trie.remove(&pattern, number as u64);
            assert!(trie.matches("a.b.a.b") && trie.matching("a.b.a.b").len() <= number + 1);
            trie.remove(&pattern, 1000);
            trie.remove(&pattern, 2000);
        }
        assert!(trie.root.is_empty(), "{trie:?}");
    }

    #[test]
    fn many_ways_to_the_same_end_are_one() {
        let patterns: Vec<String> = (1..30).map(|n| format!("{}b", "**.a.".repeat(n))).collect();
        let trie = trie(&patterns.iter().map(String::as_str).collect::<Vec<_>>());
        let name = format!("{}b", "a.".repeat(200));
        assert_eq!(trie.matching(&name).len(), 29);
    }
}
