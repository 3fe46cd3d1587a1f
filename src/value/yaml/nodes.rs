//! The events of one document as a graph of nodes: an alias is the number of a node.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::failed;
use super::resolve::{Scalar, resolve};
use crate::error::{Error, Result};

/// Number of a node.
pub type Id = usize;

pub enum Node<'t> {
    /// The resolved value and, for keys, the text it was made from.
    Scalar(Scalar, Cow<'t, str>),
    Sequence(Vec<Id>),
    Mapping(Vec<Member>),
}

#[derive(Clone, Copy)]
pub struct Member {
    pub key: Id,
    pub value: Id,
    /// `<<` as it is written, not in quotes.
    pub merge: bool,
}

/// A container whose end has not come yet.
struct Open {
    id: Id,
    /// A key that waits for its value.
    key: Option<(Id, bool)>,
    anchor: usize,
}

pub struct Reader<'t> {
    /// The text that this one is a part of, and where it begins.
    pub whole: &'t str,
    start: usize,
    pub text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    pub nodes: Vec<Node<'t>>,
    /// Where each node begins, as the parser counts.
    places: Vec<usize>,
    /// Nodes by the number of their anchor; `None` while they are open.
    anchors: HashMap<usize, Option<Id>>,
    open: Vec<Open>,
    pub root: Option<Id>,
    max_depth: usize,
}

impl<'t> Reader<'t> {
    pub fn new(whole: &'t str, part: Range<usize>, max_depth: usize) -> Reader<'t> {
        let start = part.start;
        let text = &whole[part];
        Reader {
            whole,
            start,
            text,
            parser: Parser::new_from_str(text),
            nodes: Vec::new(),
            places: Vec::new(),
            anchors: HashMap::new(),
            open: Vec::new(),
            root: None,
            max_depth,
        }
    }

    /// Reads the next document; false if there is none.
    pub fn document(&mut self) -> Result<bool> {
        self.nodes.clear();
        self.places.clear();
        self.anchors.clear();
        self.root = None;
        while let Some(event) = self.parser.next_event() {
            let (event, span) = event.map_err(|error| self.scan_failed(&error))?;
            match event {
                Event::StreamEnd => return Ok(false),
                Event::DocumentEnd => return Ok(true),
                event => self.event(event, span.start)?,
            }
        }
        Ok(false)
    }

    fn event(&mut self, event: Event<'t>, mark: Marker) -> Result<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(text, style, anchor, tag.as_deref(), mark)
            }
            Event::SequenceStart(anchor, _) => self.begin(Node::Sequence(Vec::new()), anchor, mark),
            Event::MappingStart(anchor, _) => self.begin(Node::Mapping(Vec::new()), anchor, mark),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, mark),
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'t, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        mark: Marker,
    ) -> Result<()> {
        let plain = style == ScalarStyle::Plain;
        let Some(value) = resolve(&text, plain, tag) else {
            let name = tag.map_or("", |tag| tag.suffix.as_str());
            return Err(self.failed(mark, &format!("not what the tag !!{name} says")));
        };
        let merge = plain && text == "<<" && tag.is_none();
        let id = self.node(Node::Scalar(value, text), mark);
        self.name(anchor, Some(id));
        self.attach(id, merge);
        Ok(())
    }

    fn begin(&mut self, node: Node<'t>, anchor: usize, mark: Marker) -> Result<()> {
        if self.open.len() >= self.max_depth {
            return Err(self.failed(mark, &format!("nested deeper than {}", self.max_depth)));
        }
        let id = self.node(node, mark);
        self.name(anchor, None);
        self.open.push(Open { id, key: None, anchor });
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some(done) = self.open.pop() else { return Ok(()) };
        self.name(done.anchor, Some(done.id));
        self.attach(done.id, false);
        Ok(())
    }

    fn alias(&mut self, anchor: usize, mark: Marker) -> Result<()> {
        match self.anchors.get(&anchor) {
            Some(Some(id)) => {
                self.attach(*id, false);
                Ok(())
            }
            Some(None) => Err(self.failed(mark, "an alias within what it stands for")),
            None => Err(self.failed(mark, "an alias of another document")),
        }
    }

    fn node(&mut self, node: Node<'t>, mark: Marker) -> Id {
        self.nodes.push(node);
        self.places.push(mark.index());
        self.nodes.len() - 1
    }

    /// Anchor 0 is none.
    fn name(&mut self, anchor: usize, id: Option<Id>) {
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
    }

    /// Puts a finished node where it belongs.
    fn attach(&mut self, id: Id, merge: bool) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(id);
            return;
        };
        match (self.nodes.get_mut(open.id), open.key.take()) {
            (Some(Node::Sequence(items)), _) => items.push(id),
            (Some(Node::Mapping(members)), Some((key, merge))) => {
                members.push(Member { key, value: id, merge });
            }
            (_, _) => open.key = Some((id, merge)),
        }
    }

    pub fn failed_at(&self, id: Id, reason: &str) -> Error {
        self.failed_from(self.places.get(id).copied().unwrap_or_default(), reason)
    }

    fn failed(&self, mark: Marker, reason: &str) -> Error {
        self.failed_from(mark.index(), reason)
    }

    /// The parser counts characters.
    fn failed_from(&self, index: usize, reason: &str) -> Error {
        let at = self.text.char_indices().nth(index).map_or(self.text.len(), |(at, _)| at);
        failed(self.whole, self.start + at, reason)
    }

    fn scan_failed(&self, error: &ScanError) -> Error {
        self.failed(*error.marker(), error.info())
    }
}
