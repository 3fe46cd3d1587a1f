//! The elements of a text, and which belongs into which.

use super::scan::{Scanner, Token};
use super::{Level, Options, starts_name};
use crate::error::Result;

/// Elements of HTML that have no end tag.
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
];
/// Elements that end where the next of their kind begins.
const ITEMS: &[&str] = &["li", "p", "td", "th", "tr", "dt", "dd", "option"];

pub struct Element<'t> {
    pub name: &'t str,
    pub attributes: Vec<(&'t str, String)>,
    pub children: Vec<Child>,
    pub at: usize,
}

pub enum Child {
    Element(usize),
    Text(String),
    Exact(String),
}

pub struct Tree<'t> {
    pub text: &'t str,
    pub elements: Vec<Element<'t>>,
    /// The outermost ones.
    pub roots: Vec<usize>,
    pub fixes: Vec<&'static str>,
    pub start: usize,
    pub stop: usize,
}

struct Builder<'t, 'o> {
    scanner: Scanner<'t>,
    options: &'o Options,
    elements: Vec<Element<'t>>,
    roots: Vec<usize>,
    /// Elements whose end tag has not come yet.
    open: Vec<usize>,
    /// The end of the last tag.
    stop: usize,
}

pub fn build<'t>(text: &'t str, options: &Options) -> Result<Tree<'t>> {
    let mut scanner = Scanner::new(text, options.level);
    scanner.at = start(text, options.level);
    let mut builder = Builder {
        scanner,
        options,
        elements: Vec::new(),
        roots: Vec::new(),
        open: Vec::new(),
        stop: 0,
    };
    builder.run()?;
    builder.finish()
}

/// A byte order mark is no content; lenient readers pass over prose, too.
fn start(text: &str, level: Level) -> usize {
    let mark = if text.starts_with('\u{FEFF}') { 3 } else { 0 };
    if level == Level::Strict {
        return mark;
    }
    let opens = |at: &usize| {
        let rest = &text[*at + 1..];
        rest.starts_with(starts_name) || rest.starts_with("?xml") || rest.starts_with('!')
    };
    memchr::memchr_iter(b'<', text.as_bytes()).find(opens).unwrap_or(mark)
}

impl<'t> Builder<'t, '_> {
    fn run(&mut self) -> Result<()> {
        loop {
            let at = self.scanner.at;
            if self.is_done() {
                return Ok(());
            }
            let Some(token) = self.scanner.token()? else { return Ok(()) };
            match token {
                Token::Start { name, attributes, closed } => {
                    self.begin(Element { name, attributes, children: Vec::new(), at }, closed)?;
                }
                Token::End(name) => self.end(name, at)?,
                Token::Text(text) => self.text(text, at)?,
                Token::Exact(text) if self.open.is_empty() => {
                    self.scanner.forgive(at, "prose", "CDATA outside of the root element")?;
                    let _ = text;
                }
                Token::Exact(text) => self.child(Child::Exact(text.to_owned())),
                Token::Nothing => {}
            }
        }
    }

    /// A lenient reader of one document stops behind the first.
    fn is_done(&self) -> bool {
        self.options.level != Level::Strict
            && !self.options.all
            && self.open.is_empty()
            && !self.roots.is_empty()
    }

    fn begin(&mut self, element: Element<'t>, closed: bool) -> Result<()> {
        let (name, at) = (element.name, element.at);
        if self.open.is_empty() && !self.roots.is_empty() && self.options.level == Level::Strict {
            return Err(self.scanner.failed(at, "a second root element"));
        }
        if self.open.len() >= self.options.max_depth {
            let reason = format!("nested deeper than {}", self.options.max_depth);
            return Err(self.scanner.failed(at, &reason));
        }
        if self.options.level > Level::Strict && is_one(name, ITEMS) && self.is_in(name) {
            self.scanner.fix("unclosed_tag");
            self.close(false);
        }
        self.elements.push(element);
        let id = self.elements.len() - 1;
        match self.open.is_empty() {
            true => self.roots.push(id),
            false => self.child(Child::Element(id)),
        }
        if !closed {
            self.open.push(id);
        }
        self.stop = self.scanner.at;
        Ok(())
    }

    /// Whether the innermost open element has that name.
    fn is_in(&self, name: &str) -> bool {
        self.open.last().and_then(|id| self.elements.get(*id)).is_some_and(|e| e.name == name)
    }

    fn end(&mut self, name: &'t str, at: usize) -> Result<()> {
        if self.is_in(name) {
            self.close(true);
            self.stop = self.scanner.at;
            return Ok(());
        }
        let Some(place) = self.open_place(name) else {
            let reason = format!("the end tag </{name}> of nothing");
            return self.scanner.forgive(at, "stray_end_tag", &reason);
        };
        let inner = self.open.last().and_then(|id| self.elements.get(*id)).map_or("", |e| e.name);
        let reason = format!("the end tag </{name}> where </{inner}> is due");
        self.scanner.forgive(at, "unclosed_tag", &reason)?;
        while self.open.len() > place {
            self.close(self.open.len() == place + 1);
        }
        self.stop = self.scanner.at;
        Ok(())
    }

    /// Number of the innermost open element of that name, in any case.
    fn open_place(&self, name: &str) -> Option<usize> {
        let named =
            |id: &usize| self.elements.get(*id).is_some_and(|e| e.name.eq_ignore_ascii_case(name));
        self.open.iter().rposition(named)
    }

    /// Ends the innermost element, whose end tag may not have come.
    fn close(&mut self, with_tag: bool) {
        if let Some(id) = self.open.pop()
            && !with_tag
        {
            self.spill(id);
        }
    }

    /// What a void element seems to hold stands behind it.
    fn spill(&mut self, id: usize) {
        let Some(element) = self.elements.get_mut(id) else { return };
        if !is_one(element.name, VOID) {
            return;
        }
        let children = std::mem::take(&mut element.children);
        children.into_iter().for_each(|child| self.child(child));
    }

    fn text(&mut self, text: String, at: usize) -> Result<()> {
        if !self.open.is_empty() {
            self.child(Child::Text(text));
        } else if !text.trim_matches([' ', '\t', '\n', '\r', '\u{FEFF}']).is_empty() {
            self.scanner.forgive(at, "prose", "text outside of the root element")?;
        }
        Ok(())
    }

    fn child(&mut self, child: Child) {
        if let Some(element) = self.open.last().and_then(|id| self.elements.get_mut(*id)) {
            element.children.push(child);
        }
    }

    fn finish(mut self) -> Result<Tree<'t>> {
        let text = self.scanner.text;
        if let Some(element) = self.open.last().and_then(|id| self.elements.get(*id)) {
            let reason = format!("<{}> is not closed", element.name);
            let at = element.at;
            self.scanner.forgive(at, "unclosed_tag", &reason)?;
            self.stop = text.len();
        }
        while !self.open.is_empty() {
            self.close(false);
        }
        let Some(first) = self.roots.first().and_then(|id| self.elements.get(*id)) else {
            return Err(self.scanner.failed(text.len(), "no element"));
        };
        let start = first.at;
        let around = [&text[..start], &text[self.stop.min(text.len())..]];
        if self.options.level > Level::Strict && around.iter().any(|part| is_prose(part)) {
            self.scanner.fix("prose");
        }
        let (elements, roots, fixes) = (self.elements, self.roots, self.scanner.fixes);
        Ok(Tree { text, elements, roots, fixes, start, stop: self.stop })
    }
}

/// Whether what is around a document is more than its prolog.
fn is_prose(part: &str) -> bool {
    let part = part.trim().trim_start_matches('\u{FEFF}');
    !part.is_empty() && !part.starts_with("<?") && !part.starts_with("<!")
}

fn is_one(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}
