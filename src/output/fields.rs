//! Single values of a document, without tables for the rest.

use crate::error::{Error, Result};
use crate::value::path::{Path, Tree};
use crate::value::{Document, Kind, Ref, Tape, json};

/// What is wanted, and under which name each value comes.
#[derive(Debug, Default)]
pub struct Fields {
    names: Vec<String>,
    paths: Vec<String>,
    tree: Tree,
    found: Vec<Option<usize>>,
    /// What the values are read onto.
    tape: Tape,
}

impl Fields {
    /// Takes what an option says: an array of paths, or paths by name. `path` is how
    /// messages call the option.
    pub fn want(&mut self, option: Ref<'_>, path: &str) -> Result<()> {
        if self.are(option) {
            return Ok(());
        }
        *self = Fields::default();
        let read = self.read(option, path);
        if read.is_err() {
            // What failed must not count as known.
            *self = Fields::default();
        }
        read
    }

    fn read(&mut self, option: Ref<'_>, path: &str) -> Result<()> {
        for (i, text) in option.items().enumerate() {
            let wanted = text.to_text();
            self.add(wanted.clone(), wanted, || format!("{path}[{}]", i + 1))?;
        }
        for (name, text) in option.members() {
            let name = name.to_text();
            if text.kind() != Kind::Str {
                return Err(Error::invalid(format!("{path}.{name}: expected a path, a string")));
            }
            self.add(name.clone(), text.to_text(), || format!("{path}.{name}"))?;
        }
        Ok(())
    }

    /// Whether the same was wanted last: most programs always want the same.
    fn are(&self, option: Ref<'_>) -> bool {
        let same = |known: &str, given: Ref<'_>| given.as_bytes() == Some(known.as_bytes());
        option.len() == self.paths.len()
            && option.items().zip(&self.paths).all(|(given, known)| same(known, given))
            && option.items().zip(&self.names).all(|(given, known)| same(known, given))
            && option.members().zip(self.names.iter().zip(&self.paths)).all(
                |((name, path), (known, known_path))| same(known, name) && same(known_path, path),
            )
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

    /// Reads them out of a text that is valid JSON; false if it is not.
    pub fn select(&mut self, text: &[u8], max_depth: usize, into: &mut Document) -> bool {
        self.begin();
        let Fields { tree, tape, found, .. } = self;
        let valid = json::select(text, max_depth, tree, tape, found);
        if valid {
            self.write(into);
        }
        valid
    }

    /// Looks them up in a document that was read onto a tape.
    pub fn pick(&mut self, value: Ref<'_>, into: &mut Document) {
        self.begin();
        let Fields { tree, tape, found, .. } = self;
        tree.find(value, &mut |number, at| {
            if let (Some(place), Some(value)) = (found.get_mut(number), value.tape().at(at)) {
                *place = Some(tape.len());
                tape.copy(value.walk());
            }
        });
        self.write(into);
    }

    fn begin(&mut self) {
        self.tape.clear();
        self.found.clear();
        self.found.resize(self.names.len(), None);
    }

    fn write(&self, into: &mut Document) {
        into.tape.clear();
        let object = into.tape.open_object();
        let mut count = 0;
        for (name, at) in self.names.iter().zip(&self.found) {
            if let Some(at) = at {
                into.tape.str(name.as_bytes());
                into.tape.copy(self.tape.walk(*at, &[]));
                count += 1;
            }
        }
        into.tape.close(object, count);
        (into.root, into.over) = (0, false);
    }
}
