//! Finds the values that many errors name. Errors come in document order, so each array remembers
//! how far it was walked: a hundred thousand wrong items cost one walk, not one each.

use std::collections::HashMap;

use super::keywords::escaped;
use crate::value::tape::Items;
use crate::value::{Kind, Ref};

/// Members among which looking one by one is quick.
const FEW: usize = 16;

pub struct Places<'t> {
    root: Ref<'t>,
    /// By an array's position: the index that comes next, and the rest of its items.
    walked: HashMap<usize, (usize, Items<'t>)>,
    /// By a large object's position: its members.
    named: HashMap<usize, HashMap<String, Ref<'t>>>,
}

impl<'t> Places<'t> {
    pub fn of(root: Ref<'t>) -> Places<'t> {
        Places { root, walked: HashMap::new(), named: HashMap::new() }
    }

    /// The value a JSON pointer leads to.
    pub fn find(&mut self, pointer: &str) -> Option<Ref<'t>> {
        let root = self.root;
        pointer.split('/').skip(1).try_fold(root, |here, step| match here.kind() {
            Kind::Array => self.item(here, step.parse().ok()?),
            _ if here.len() <= FEW => here.member(step),
            _ => self.member(here, step),
        })
    }

    fn member(&mut self, object: Ref<'t>, step: &str) -> Option<Ref<'t>> {
        let all =
            || object.members().map(|(key, value)| (escaped(&key.to_text()), value)).collect();
        self.named.entry(object.position()).or_insert_with(all).get(step).copied()
    }

    fn item(&mut self, array: Ref<'t>, index: usize) -> Option<Ref<'t>> {
        let (next, items) = self.walked.entry(array.position()).or_insert((0, array.items()));
        if *next > index {
            (*next, *items) = (0, array.items());
        }
        // The item stays in front, so that several errors inside it find it again.
        while *next < index {
            items.next()?;
            *next += 1;
        }
        items.peek()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Tape, json};

    #[test]
    fn places_are_found_in_any_order() {
        let mut tape = Tape::default();
        json::parse(br#"{"a/b":[[1],{"c":[2,3]}],"":4}"#, &mut tape).unwrap();
        let mut places = Places::of(tape.root().unwrap());
        let mut number = |pointer: &str| places.find(pointer).and_then(Ref::as_i64);
        assert_eq!(number("/a~1b/1/c/1"), Some(3));
        assert_eq!(number("/a~1b/1/c/0"), Some(2));
        assert_eq!(number("/a~1b/0/0"), Some(1));
        assert_eq!(number("/"), Some(4));
        assert_eq!(number("/a~1b/0/1"), None);
        assert_eq!(number("/x/y"), None);
    }

    #[test]
    fn members_of_large_objects_are_found() {
        let mut tape = Tape::default();
        let members: Vec<_> = (0..100).map(|i| format!("\"k/{i}\":{i}")).collect();
        json::parse(format!("{{{}}}", members.join(",")).as_bytes(), &mut tape).unwrap();
        let mut places = Places::of(tape.root().unwrap());
        assert_eq!(places.find("/k~142").and_then(Ref::as_i64), Some(42));
        assert!(places.find("/k42").is_none());
    }
}
