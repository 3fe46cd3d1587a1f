//! Paths into documents: `choices[1].message.content`, `headers["x-request-id"]`.
//!
//! Indices count from 1, as in Lua. Several paths make a tree, so that a text is gone through once
//! for all of them.
//!
//! ```
//! use zigllms::value::path::Path;
//! assert_eq!(Path::parse("a[1].b").unwrap().steps.len(), 3);
//! assert!(Path::parse("a..b").is_err());
//! ```

use super::{Key, MAX_DEPTH, Ref};

#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    pub steps: Vec<Key>,
}

impl Path {
    /// The path that a text says; else what is wrong with it.
    pub fn parse(text: &str) -> Result<Path, String> {
        let mut rest = Rest { text, at: 0 };
        let mut steps = Vec::new();
        while !rest.is_empty() {
            steps.push(rest.step(steps.is_empty())?);
        }
        match steps.len() {
            0 => Err("a path has a name or an index at least".to_owned()),
            n if n > MAX_DEPTH => Err(format!("a path has no more than {MAX_DEPTH} steps")),
            _ => Ok(Path { steps }),
        }
    }
}

/// What of a path is still to be read.
struct Rest<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Rest<'t> {
    fn left(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.left().is_empty()
    }

    fn step(&mut self, first: bool) -> Result<Key, String> {
        if let Some(inner) = self.left().strip_prefix('[') {
            return match inner.strip_prefix('"') {
                Some(_) => self.quoted(),
                None => self.index(inner),
            };
        }
        if !first {
            let behind =
                self.left().strip_prefix('.').ok_or_else(|| self.wrong("\".\" or \"[\""))?;
            self.at = self.text.len() - behind.len();
        }
        self.name()
    }

    fn name(&mut self) -> Result<Key, String> {
        let left = self.left();
        let end = left.find(['.', '[', ']', '"']).unwrap_or(left.len());
        let name = left.get(..end).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| self.wrong("a name"))?;
        self.at += end;
        Ok(Key::Name(name.to_owned()))
    }

    fn index(&mut self, inner: &str) -> Result<Key, String> {
        let end = inner.find(']').ok_or_else(|| {
            self.wrong("an index or a name in double quotes, and a closing bracket")
        })?;
        let digits = inner.get(..end).unwrap_or_default();
        let index = digits.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        let index =
            index.ok_or_else(|| self.wrong("an index from 1 on, or a name in double quotes"))?;
        self.at += end + 2;
        Ok(Key::Index(index))
    }

    /// `["any name"]`, with the escapes of JSON.
    fn quoted(&mut self) -> Result<Key, String> {
        let inner = self.left().get(1..).unwrap_or_default();
        let mut names = serde_json::Deserializer::from_str(inner).into_iter::<String>();
        let name =
            names.next().and_then(Result::ok).ok_or_else(|| self.wrong("a name in quotes"))?;
        let end = names.byte_offset();
        if inner.get(end..end + 1) != Some("]") {
            return Err(self.wrong("a closing bracket behind the name"));
        }
        self.at += end + 2;
        Ok(Key::Name(name))
    }

    fn wrong(&self, expected: &str) -> String {
        match self.left() {
            "" => format!("expected {expected} at its end"),
            left => {
                format!("expected {expected} at {:?}", left.chars().take(20).collect::<String>())
            }
        }
    }
}

/// Several paths at once. A place of the tree stands for a value that is wanted, or for one in which
/// others are.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// The paths, by number, that lead here.
    pub ends: Vec<usize>,
    pub below: Vec<(Key, Tree)>,
}

impl Tree {
    pub fn add(&mut self, path: &Path, number: usize) {
        let mut here = self;
        for step in &path.steps {
            let known = here.below.iter().position(|(key, _)| key == step);
            let at = known.unwrap_or_else(|| {
                here.below.push((step.clone(), Tree::default()));
                here.below.len() - 1
            });
            // It is there by now.
            let Some((_, next)) = here.below.get_mut(at) else { return };
            here = next;
        }
        here.ends.push(number);
    }

    #[inline]
    pub fn named(&self, name: &[u8]) -> Option<&Tree> {
        let is = |key: &Key| matches!(key, Key::Name(wanted) if wanted.as_bytes() == name);
        self.below.iter().find(|(key, _)| is(key)).map(|(_, tree)| tree)
    }

    pub fn item(&self, index: usize) -> Option<&Tree> {
        self.below.iter().find(|(key, _)| *key == Key::Index(index)).map(|(_, tree)| tree)
    }

    /// Tells `found` every path that leads to a value below `value`, and where it stands.
    pub fn find(&self, value: Ref<'_>, found: &mut impl FnMut(usize, usize)) {
        self.ends.iter().for_each(|number| found(*number, value.position()));
        for (key, tree) in &self.below {
            let next = match key {
                Key::Name(name) => value.get(name),
                Key::Index(index) => value.items().nth(*index),
            };
            if let Some(next) = next {
                tree.find(next, found);
            }
        }
    }

    /// All paths of this place and below it.
    pub fn all(&self, tell: &mut impl FnMut(usize)) {
        self.ends.iter().for_each(|number| tell(*number));
        self.below.iter().for_each(|(_, tree)| tree.all(tell));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> String {
        let path = Path::parse(text).unwrap();
        let step = |key: &Key| match key {
            Key::Name(name) => format!("<{name}>"),
            Key::Index(index) => format!("<#{index}>"),
        };
        path.steps.iter().map(step).collect()
    }

    #[test]
    fn paths_are_names_and_indices_from_one() {
        assert_eq!(steps("choices[1].message.content"), "<choices><#0><message><content>");
        assert_eq!(steps("[3][\"any key.\\\"x\\\"\"]"), "<#2><any key.\"x\">");
        assert_eq!(steps("a-b.c d.é"), "<a-b><c d><é>");
        assert_eq!(steps("a[\"\"]"), "<a><>");
    }

    #[test]
    fn what_is_no_path_is_told_with_its_place() {
        for (text, reason) in [
            ("", "a path has a name or an index at least"),
            ("a.", "expected a name at its end"),
            ("a..b", "expected a name at \".b\""),
            (".a", "expected a name at \".a\""),
            ("a[0]", "expected an index from 1 on, or a name in double quotes at \"[0]\""),
            ("a[x]", "expected an index from 1 on, or a name in double quotes at \"[x]\""),
            (
                "a[1",
                "expected an index or a name in double quotes, and a closing bracket at \"[1\"",
            ),
            ("a[\"b\"", "expected a closing bracket behind the name at \"[\\\"b\\\"\""),
            ("a]", "expected \".\" or \"[\" at \"]\""),
        ] {
            assert_eq!(Path::parse(text).unwrap_err(), reason, "{text}");
        }
        assert!(Path::parse(&"a.".repeat(200)).is_err());
    }
}
