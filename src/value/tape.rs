//! A reusable arena holding one value: a Lua value that was read, or a JSON text that was parsed.
//!
//! Nodes lie in document order; a container knows how many nodes its subtree has, so that its
//! next sibling is one addition away. A tape lives as long as one native call and is then reused.
//!
//! ```
//! use zigllms::value::Tape;
//! let mut tape = Tape::default();
//! let object = tape.open_object();
//! tape.str(b"city");
//! tape.str(b"Oslo");
//! tape.close(object, 1);
//! assert_eq!(tape.root().unwrap().get("city").unwrap().as_str(), Some("Oslo"));
//! ```

use serde_json::{Map, Number, Value};

use super::Slot;

/// Text that stays allocated in a tape between calls.
const KEPT_TEXT: usize = 1 << 20;
/// Nodes that stay allocated in a tape between calls.
const KEPT_NODES: usize = 1 << 15;
/// Nodes that stay allocated as long as each value needs a good part of them: 16 MiB. To get memory
/// anew takes a sixth of the time in which a large document becomes tables.
const MOST_NODES: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    Bool,
    Int,
    Float,
    Str,
    Array,
    Object,
    /// An empty Lua table without a mark: an array where one is expected, else an object.
    Empty,
    /// A function or callable table.
    Function,
    /// A thread or userdata.
    Opaque,
}

/// 16 bytes: a large document is read and walked at the speed of memory.
#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    /// Strings: bytes. Arrays: items. Objects: members.
    len: u32,
    /// Bool 0/1, integer, float bits, offset into the text, index into the slots. Containers: nodes
    /// of the subtree, this one included; while open, the position of the container around it.
    bits: u64,
}

impl Node {
    /// Nodes of the subtree, this one included.
    fn size(&self) -> usize {
        match self.kind {
            Kind::Array | Kind::Object => self.bits as usize,
            _ => 1,
        }
    }
}

/// Where a container was opened; hand it to [`Tape::close`].
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

impl Mark {
    /// The mark of a container that was closed, so that more can be written into it while it is the
    /// last one on the tape.
    pub(crate) fn at(position: usize) -> Mark {
        Mark(position)
    }

    pub(crate) fn position(self) -> usize {
        self.0
    }
}

/// The container a reader is in. Those around it wait on the tape itself, so that no depth needs a
/// stack or another allocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    at: usize,
    /// Items or members so far.
    pub len: u32,
}

impl Open {
    /// In no container.
    pub const NONE: Open = Open { at: usize::MAX, len: 0 };
}

#[derive(Clone, Debug, Default)]
pub struct Tape {
    nodes: Vec<Node>,
    text: Vec<u8>,
    slots: Vec<Slot>,
}

impl Tape {
    /// Empties the tape and gives back memory an unusually large value needed: after the first that
    /// did without most of it.
    pub fn clear(&mut self) {
        // Who is careful clears before and after.
        if self.nodes.is_empty() && self.text.is_empty() && self.slots.is_empty() {
            return;
        }
        let (needed, has) = (self.nodes.len(), self.nodes.capacity());
        self.nodes.clear();
        self.text.clear();
        self.slots.clear();
        if needed > 0 && (needed < has / 4 || has > MOST_NODES) {
            self.nodes.shrink_to(KEPT_NODES);
        }
        self.text.shrink_to(KEPT_TEXT);
    }

    /// The number of nodes so far: the position at which the next value will stand.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Drops everything from position `at` on.
    pub fn truncate(&mut self, at: usize) {
        self.nodes.truncate(at);
    }

    #[inline]
    pub fn null(&mut self) {
        self.push(Kind::Null, 0, 0);
    }

    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.push(Kind::Bool, 0, u64::from(value));
    }

    #[inline]
    pub fn int(&mut self, value: i64) {
        self.push(Kind::Int, 0, value as u64);
    }

    #[inline]
    pub fn float(&mut self, value: f64) {
        self.push(Kind::Float, 0, value.to_bits());
    }

    /// A string, also an object's key (keys stand right before their values).
    pub fn str(&mut self, bytes: &[u8]) {
        let at = self.text.len() as u64;
        self.text.extend_from_slice(bytes);
        self.push(Kind::Str, u32::try_from(bytes.len()).unwrap_or(u32::MAX), at);
    }

    pub fn empty(&mut self) {
        self.push(Kind::Empty, 0, 0);
    }

    /// A Lua value by reference; `kind` is [`Kind::Function`] or [`Kind::Opaque`].
    pub fn slot(&mut self, kind: Kind, slot: Slot) {
        let at = self.slots.len() as u64;
        self.slots.push(slot);
        self.push(kind, 0, at);
    }

    pub fn open_array(&mut self) -> Mark {
        self.push(Kind::Array, 0, 1);
        Mark(self.nodes.len() - 1)
    }

    pub fn open_object(&mut self) -> Mark {
        self.push(Kind::Object, 0, 1);
        Mark(self.nodes.len() - 1)
    }

    /// Ends a container that has `len` items or members.
    pub fn close(&mut self, mark: Mark, len: usize) {
        let size = self.nodes.len() - mark.0;
        if let Some(node) = self.nodes.get_mut(mark.0) {
            node.len = len as u32;
            node.bits = size as u64;
        }
    }

    /// Opens a container inside of `outer`.
    #[inline]
    pub(crate) fn enter(&mut self, kind: Kind, outer: Open) -> Open {
        if let Some(node) = self.nodes.get_mut(outer.at) {
            node.len = outer.len;
        }
        self.push(kind, 0, outer.at as u64);
        Open { at: self.nodes.len() - 1, len: 0 }
    }

    /// Ends the container; gives the one around it, and whether that is an object.
    #[inline]
    pub(crate) fn leave(&mut self, inner: Open) -> (Open, bool) {
        let size = self.nodes.len() - inner.at;
        let Some(node) = self.nodes.get_mut(inner.at) else { return (Open::NONE, false) };
        let at = node.bits as usize;
        (node.len, node.bits) = (inner.len, size as u64);
        let Some(outer) = self.nodes.get(at) else { return (Open::NONE, false) };
        (Open { at, len: outer.len }, outer.kind == Kind::Object)
    }

    /// Takes a copy of a whole text, parts of which become strings by [`Tape::part`]; gives where
    /// it lies.
    pub(crate) fn source(&mut self, text: &[u8]) -> usize {
        let at = self.text.len();
        self.text.extend_from_slice(text);
        at
    }

    /// A string that is a part of a text given before.
    #[inline]
    pub(crate) fn part(&mut self, at: usize, len: usize) {
        self.push(Kind::Str, len as u32, at as u64);
    }

    /// A string that `write` puts together at the end of what it is given. `before` bytes of a text
    /// that stays outside count first.
    pub(crate) fn written<E>(
        &mut self,
        before: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let at = self.text.len();
        write(&mut self.text)?;
        self.part(before + at, self.text.len() - at);
        Ok(())
    }

    #[inline]
    fn push(&mut self, kind: Kind, len: u32, bits: u64) {
        self.nodes.push(Node { kind, len, bits });
    }

    /// The first value on the tape.
    pub fn root(&self) -> Option<Ref<'_>> {
        self.at(0)
    }

    /// As [`Tape::at`], for a position that is known to hold a value.
    pub(crate) fn view(&self, at: usize) -> Ref<'_> {
        Ref { tape: self, at }
    }

    /// Decides what the empty table at a position is; it stays empty.
    pub fn settle_empty(&mut self, at: usize, kind: Kind) {
        if let Some(node) = self.nodes.get_mut(at)
            && node.len == 0
            && matches!(node.kind, Kind::Empty | Kind::Array | Kind::Object)
        {
            // An empty container is all of its subtree.
            (node.kind, node.bits) = (kind, 1);
        }
    }

    /// The nodes of the value at a position. `source` is the text that the tape was written over
    /// by `json::parse_over`, empty for any other tape.
    pub fn walk<'t>(&'t self, at: usize, source: &'t [u8]) -> Walk<'t> {
        let nodes = self.nodes.get(at..).unwrap_or_default();
        let size = nodes.first().map_or(0, Node::size);
        Walk { nodes: nodes.get(..size).unwrap_or_default(), text: &self.text, source }
    }

    /// Copies a value of another tape onto the end of this one.
    pub fn copy(&mut self, value: Walk<'_>) {
        for node in value.nodes {
            match node.kind {
                Kind::Str => self.str(value.string(node)),
                Kind::Function | Kind::Opaque => self.null(),
                _ => self.nodes.push(*node),
            }
        }
    }

    /// The same, with what passes by reference.
    pub fn copy_whole(&mut self, value: Ref<'_>) {
        for at in value.at..value.skip().at {
            let here = value.tape.view(at);
            match (here.as_bytes(), here.as_slot()) {
                (Some(bytes), _) => self.str(bytes),
                (_, Some(slot)) => self.slot(here.kind(), slot.clone()),
                _ => self.nodes.push(*here.node()),
            }
        }
    }

    /// Whether any value on the tape passes by reference.
    pub fn has_slots(&self) -> bool {
        !self.slots.is_empty()
    }

    /// Bytes it takes; `None` if a value on it passes by reference.
    pub fn weight(&self) -> Option<usize> {
        let nodes = self.nodes.capacity() * size_of::<Node>();
        (!self.has_slots()).then_some(nodes + self.text.capacity())
    }

    /// The value at a position that [`Tape::len`] gave before it was written.
    pub fn at(&self, at: usize) -> Option<Ref<'_>> {
        (at < self.nodes.len()).then_some(Ref { tape: self, at })
    }
}

/// What a node says, for who goes through all of them in order.
#[derive(Clone, Copy, Debug)]
pub enum Token<'t> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(&'t [u8]),
    /// So many items follow.
    Array(usize),
    /// So many pairs of a name and a value follow.
    Object(usize),
    /// A table without members that may be either.
    Empty,
}

/// The nodes of a value, one after another, without a look-up for each. It owns nothing.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'t> {
    nodes: &'t [Node],
    text: &'t [u8],
    source: &'t [u8],
}

impl<'t> Walk<'t> {
    /// Whether the next node is null, or there is none.
    pub fn is_null(&self) -> bool {
        self.nodes.first().is_none_or(|node| node.kind == Kind::Null)
    }

    /// Nodes still to come.
    pub fn nodes_left(&self) -> usize {
        self.nodes.len()
    }

    /// The next node; null behind the last one.
    #[inline]
    pub fn take(&mut self) -> Token<'t> {
        let Some((node, rest)) = self.nodes.split_first() else { return Token::Null };
        self.nodes = rest;
        match node.kind {
            Kind::Null | Kind::Function | Kind::Opaque => Token::Null,
            Kind::Bool => Token::Bool(node.bits == 1),
            Kind::Int => Token::Int(node.bits as i64),
            Kind::Float => Token::Float(f64::from_bits(node.bits)),
            Kind::Str => Token::Str(self.string(node)),
            Kind::Array => Token::Array(node.len as usize),
            Kind::Object => Token::Object(node.len as usize),
            Kind::Empty => Token::Empty,
        }
    }

    /// The next node, where a name must stand.
    #[inline]
    pub fn name(&mut self) -> &'t [u8] {
        match self.take() {
            Token::Str(name) => name,
            _ => &[],
        }
    }

    #[inline]
    fn string(&self, node: &Node) -> &'t [u8] {
        let (at, len) = (node.bits as usize, node.len as usize);
        let outside = at.checked_sub(self.source.len());
        let bytes = match outside {
            None => self.source.get(at..at + len),
            Some(at) => self.text.get(at..at + len),
        };
        bytes.unwrap_or_default()
    }
}

/// A view of one value on a tape.
#[derive(Clone, Copy, Debug)]
pub struct Ref<'t> {
    tape: &'t Tape,
    at: usize,
}

impl<'t> Ref<'t> {
    fn node(self) -> &'t Node {
        &self.tape.nodes[self.at]
    }

    pub fn kind(self) -> Kind {
        self.node().kind
    }

    /// Position on the tape: tells one node from another.
    pub fn position(self) -> usize {
        self.at
    }

    pub fn tape(self) -> &'t Tape {
        self.tape
    }

    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    pub fn as_bool(self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.node().bits == 1)
    }

    pub fn as_i64(self) -> Option<i64> {
        (self.kind() == Kind::Int).then(|| self.node().bits as i64)
    }

    /// Any number, as a float.
    pub fn as_f64(self) -> Option<f64> {
        match self.kind() {
            Kind::Int => Some(self.node().bits as i64 as f64),
            Kind::Float => Some(f64::from_bits(self.node().bits)),
            _ => None,
        }
    }

    pub fn as_bytes(self) -> Option<&'t [u8]> {
        let node = self.node();
        if node.kind != Kind::Str {
            return None;
        }
        let at = node.bits as usize;
        self.tape.text.get(at..at + node.len as usize)
    }

    /// A string; `None` if it is something else or not UTF-8.
    pub fn as_str(self) -> Option<&'t str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// Whether all strings in it are UTF-8.
    pub fn is_text(self) -> bool {
        let valid = self.as_bytes().is_none_or(|bytes| std::str::from_utf8(bytes).is_ok());
        let members = |(key, value): (Ref<'t>, Ref<'t>)| key.is_text() && value.is_text();
        valid && self.items().all(Ref::is_text) && self.members().all(members)
    }

    pub fn as_slot(self) -> Option<&'t Slot> {
        match self.kind() {
            Kind::Function | Kind::Opaque => self.tape.slots.get(self.node().bits as usize),
            _ => None,
        }
    }

    pub fn is_object(self) -> bool {
        matches!(self.kind(), Kind::Object | Kind::Empty)
    }

    pub fn is_array(self) -> bool {
        matches!(self.kind(), Kind::Array | Kind::Empty)
    }

    /// Items or members; 0 for anything that is no container.
    pub fn len(self) -> usize {
        match self.kind() {
            Kind::Array | Kind::Object => self.node().len as usize,
            _ => 0,
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The nodes of the value.
    pub fn walk(self) -> Walk<'t> {
        self.tape.walk(self.at, &[])
    }

    /// About how long the value is as text.
    pub(crate) fn text_size(self) -> usize {
        let nodes = self.node().size();
        self.tape.text.len().min(nodes * 64) + nodes * 8
    }

    fn skip(self) -> Ref<'t> {
        Ref { tape: self.tape, at: self.at + self.node().size() }
    }

    /// The items of an array; nothing for other values.
    pub fn items(self) -> Items<'t> {
        let left = if self.kind() == Kind::Array { self.len() } else { 0 };
        Items { next: Ref { tape: self.tape, at: self.at + 1 }, left }
    }

    /// Keys and values of an object, in order; nothing for other values.
    pub fn members(self) -> Members<'t> {
        let left = if self.kind() == Kind::Object { self.len() } else { 0 };
        Members { next: Ref { tape: self.tape, at: self.at + 1 }, left }
    }

    /// Positions of the empty tables in this value.
    pub fn empties(self) -> impl Iterator<Item = usize> + 't {
        let nodes = &self.tape.nodes[self.at..self.skip().at];
        let empty =
            move |(i, node): (usize, &Node)| (node.kind == Kind::Empty).then_some(self.at + i);
        nodes.iter().enumerate().filter_map(empty)
    }

    /// The value a JSON pointer leads to.
    pub fn pointer(self, pointer: &str) -> Option<Ref<'t>> {
        pointer.split('/').skip(1).try_fold(self, |here, step| match here.kind() {
            Kind::Array => here.items().nth(step.parse().ok()?),
            _ => here.member(step),
        })
    }

    /// The member that one step of a JSON pointer names.
    pub fn member(self, step: &str) -> Option<Ref<'t>> {
        match step.contains('~') {
            true => self.get(&step.replace("~1", "/").replace("~0", "~")),
            false => self.get(step),
        }
    }

    /// The member named `key`; the last one if a document repeats it.
    pub fn get(self, key: &str) -> Option<Ref<'t>> {
        if self.kind() != Kind::Object {
            return None;
        }
        let Tape { nodes, text, .. } = self.tape;
        let (mut at, mut found) = (self.at + 1, None);
        // Lengths tell most keys apart, and lie where the walk passes anyway.
        for _ in 0..self.len() {
            let name = &nodes[at];
            let from = name.bits as usize;
            if name.len as usize == key.len() && text[from..from + key.len()] == *key.as_bytes() {
                found = Some(at + 1);
            }
            at += 1 + nodes[at + 1].size();
        }
        found.map(|at| Ref { tape: self.tape, at })
    }

    /// An owned copy. Values that are no data (functions, threads, userdata) become null, bytes
    /// that are not UTF-8 are replaced: producers of documents have refused both before.
    pub fn to_json(self) -> Value {
        match self.kind() {
            Kind::Null | Kind::Function | Kind::Opaque => Value::Null,
            Kind::Bool => Value::Bool(self.node().bits == 1),
            Kind::Int => Value::from(self.node().bits as i64),
            Kind::Float => Number::from_f64(f64::from_bits(self.node().bits))
                .map_or(Value::Null, Value::Number),
            Kind::Str => Value::String(self.to_text()),
            Kind::Array => self.items().map(Ref::to_json).collect(),
            Kind::Object => self.members().map(|(k, v)| (k.to_text(), v.to_json())).collect(),
            Kind::Empty => Value::Object(Map::new()),
        }
    }

    /// The bytes of a string as text; empty for other values.
    pub fn to_text(self) -> String {
        String::from_utf8_lossy(self.as_bytes().unwrap_or_default()).into_owned()
    }
}

#[derive(Clone, Copy)]
pub struct Items<'t> {
    next: Ref<'t>,
    left: usize,
}

impl<'t> Items<'t> {
    /// The item that `next` will give.
    pub fn peek(&self) -> Option<Ref<'t>> {
        (self.left > 0).then_some(self.next)
    }
}

impl<'t> Iterator for Items<'t> {
    type Item = Ref<'t>;

    fn next(&mut self) -> Option<Ref<'t>> {
        self.left = self.left.checked_sub(1)?;
        let item = self.next;
        self.next = item.skip();
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

pub struct Members<'t> {
    next: Ref<'t>,
    left: usize,
}

impl<'t> Iterator for Members<'t> {
    type Item = (Ref<'t>, Ref<'t>);

    fn next(&mut self) -> Option<(Ref<'t>, Ref<'t>)> {
        self.left = self.left.checked_sub(1)?;
        let key = self.next;
        let value = key.skip();
        self.next = value.skip();
        Some((key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tape {
        let mut tape = Tape::default();
        let object = tape.open_object();
        tape.str(b"list");
        let list = tape.open_array();
        tape.int(1);
        tape.float(2.5);
        tape.empty();
        tape.close(list, 3);
        tape.str(b"name");
        tape.str("Åse".as_bytes());
        tape.close(object, 2);
        tape
    }

    #[test]
    fn siblings_are_found_past_nested_containers() {
        let tape = sample();
        let root = tape.root().unwrap();
        assert_eq!(root.get("name").unwrap().as_str(), Some("Åse"));
        assert_eq!(root.get("list").unwrap().items().count(), 3);
        assert!(root.get("nothing").is_none());
    }

    #[test]
    fn an_owned_copy_keeps_order_and_number_kinds() {
        let value = sample().root().unwrap().to_json();
        assert_eq!(value.to_string(), r#"{"list":[1,2.5,{}],"name":"Åse"}"#);
    }

    #[test]
    fn a_cleared_tape_gives_back_what_a_large_value_took() {
        let mut tape = Tape::default();
        tape.str(&vec![b'x'; 8 << 20]);
        tape.clear();
        assert!(tape.is_empty());
        assert!(tape.text.capacity() <= KEPT_TEXT);
    }

    fn use_nodes(tape: &mut Tape, count: usize) -> usize {
        (0..count).for_each(|_| tape.null());
        tape.clear();
        tape.nodes.capacity()
    }

    #[test]
    fn nodes_are_kept_while_values_are_large() {
        let mut tape = Tape::default();
        let large = 10 * KEPT_NODES;
        assert!(use_nodes(&mut tape, large) >= large);
        tape.clear();
        assert!(use_nodes(&mut tape, large) >= large);
        assert!(use_nodes(&mut tape, 10) <= KEPT_NODES);
        assert!(use_nodes(&mut tape, MOST_NODES + 1) <= KEPT_NODES);
    }
}
