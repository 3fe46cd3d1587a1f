//! Single values of a document, without tables for the rest.

use std::collections::HashMap;
use std::rc::Rc;

use crate::error::{Error, Result};
use crate::value::path::{Path, Tree};
use crate::value::{Document, Kind, Ref, Tape, json};

/// Most values that a reader returns: results of a function take room on the stack.
const MOST: usize = 200;

/// What is wanted, and under which name each value comes.
#[derive(Debug, Default)]
pub struct Wanted {
    pub names: Vec<String>,
    pub paths: Vec<String>,
    /// It came as an array of paths, so each name is its path.
    pub list: bool,
    tree: Tree,
}

/// What was wanted last, and room for reading it.
#[derive(Debug, Default)]
pub struct Fields {
    pub wanted: Rc<Wanted>,
    found: Vec<Option<usize>>,
    /// What the values are read onto.
    tape: Tape,
    /// What readers want, by number, until their functions are made.
    handed: HashMap<usize, Rc<Wanted>>,
    numbers: usize,
}

impl Fields {
    /// Takes what an option says: an array of paths, or paths by name. `path` is how
    /// messages call the option.
    pub fn want(&mut self, option: Ref<'_>, path: &str) -> Result<()> {
        if self.are(option) {
            return Ok(());
        }
        // What fails must not count as known.
        self.wanted = Rc::default();
        self.wanted = Rc::new(Wanted::read(option, path)?);
        Ok(())
    }

    /// Keeps what a reader wants until [`Fields::take`] asks for its number.
    pub fn hand(&mut self, option: Ref<'_>, path: &str) -> Result<usize> {
        let wanted = Wanted::read(option, path)?;
        if wanted.names.is_empty() {
            return Err(Error::invalid(format!("{path}: expected a path at least, got none")));
        }
        let count = wanted.names.len();
        if count > MOST {
            let text = format!("{path}: expected at most {MOST} paths, got {count}: use fields");
            return Err(Error::invalid(text));
        }
        self.numbers += 1;
        self.handed.insert(self.numbers, Rc::new(wanted));
        Ok(self.numbers)
    }

    pub fn take(&mut self, number: usize) -> Rc<Wanted> {
        self.handed.remove(&number).unwrap_or_default()
    }

    /// Whether the same was wanted last: most programs always want the same.
    fn are(&self, option: Ref<'_>) -> bool {
        let same = |known: &str, given: Ref<'_>| given.as_bytes() == Some(known.as_bytes());
        option.len() == self.wanted.paths.len()
            && option.items().zip(&self.wanted.paths).all(|(given, known)| same(known, given))
            && option.items().zip(&self.wanted.names).all(|(given, known)| same(known, given))
            && option.members().zip(self.wanted.names.iter().zip(&self.wanted.paths)).all(
                |((name, path), (known, known_path))| same(known, name) && same(known_path, path),
            )
    }

    /// Looks them up in a document that was read onto a tape.
    pub fn pick(&mut self, value: Ref<'_>, into: &mut Document) {
        let Fields { wanted, tape, found, .. } = self;
        wanted.begin(tape, found);
        wanted.tree.find(value, &mut |number, at| {
            if let (Some(place), Some(value)) = (found.get_mut(number), value.tape().at(at)) {
                *place = Some(tape.len());
                tape.copy(value.walk());
            }
        });
        self.write(into);
    }

    fn write(&self, into: &mut Document) {
        into.tape.clear();
        let object = into.tape.open_object();
        let mut count = 0;
        for (name, at) in self.wanted.names.iter().zip(&self.found) {
            if let Some(at) = at {
                into.tape.str(name.as_bytes());
                into.tape.copy(self.tape.walk(*at, &[]));
                count += 1;
            }
        }
        into.tape.close(object, count);
        into.root = 0;
    }
}

impl Wanted {
    fn read(option: Ref<'_>, path: &str) -> Result<Wanted> {
        let mut wanted = Wanted { list: option.is_array(), ..Wanted::default() };
        if option.kind() == Kind::Str {
            let text = option.to_text();
            wanted.add(text.clone(), text, || path.to_owned())?;
        }
        for (i, text) in option.items().enumerate() {
            let text = text.to_text();
            wanted.add(text.clone(), text, || format!("{path}[{}]", i + 1))?;
        }
        for (name, text) in option.members() {
            let name = name.to_text();
            if text.kind() != Kind::Str {
                return Err(Error::invalid(format!("{path}.{name}: expected a path, a string")));
            }
            wanted.add(name.clone(), text.to_text(), || format!("{path}.{name}"))?;
        }
        Ok(wanted)
    }

    fn add(&mut self, name: String, text: String, place: impl FnOnce() -> String) -> Result<()> {
        let path = Path::parse(&text).map_err(|reason| {
            let expected = "expected a path as choices[1].message.content";
            Error::invalid(format!("{}: {expected}, got {text:?}: {reason}", place()))
        })?;
        self.tree.add(&path, self.names.len());
        self.names.push(name);
        self.paths.push(text);
        Ok(())
    }

    /// Reads the values out of a text that is valid JSON onto a tape: where the value of each path
    /// stands goes to `found`. False if the text is not valid.
    pub fn select(
        &self,
        text: &[u8],
        max_depth: usize,
        tape: &mut Tape,
        found: &mut Vec<Option<usize>>,
    ) -> bool {
        self.begin(tape, found);
        json::select(text, max_depth, &self.tree, tape, found)
    }

    fn begin(&self, tape: &mut Tape, found: &mut Vec<Option<usize>>) {
        tape.clear();
        found.clear();
        found.resize(self.names.len(), None);
    }
}
