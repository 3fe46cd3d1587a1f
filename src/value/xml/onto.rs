//! Elements onto the tape, as `mod.rs` says.

use std::collections::HashMap;

use super::super::Tape;
use super::tree::{Child, Element, Tree};
use super::{Options, failed};
use crate::error::Result;

/// Writes `{name=value}` of the outermost element, or an array of all.
pub fn roots(tree: &Tree<'_>, options: &Options, tape: &mut Tape) -> Result<()> {
    let mut onto = Onto { tree, tape, most: options.max_depth };
    match (options.all, tree.roots.first()) {
        (false, Some(root)) => onto.root(*root, 0),
        _ => {
            let mark = onto.tape.open_array();
            tree.roots.iter().try_for_each(|root| onto.root(*root, 1))?;
            onto.tape.close(mark, tree.roots.len());
            Ok(())
        }
    }
}

struct Onto<'a, 't> {
    tree: &'a Tree<'t>,
    tape: &'a mut Tape,
    most: usize,
}

impl<'a> Onto<'a, '_> {
    fn root(&mut self, id: usize, depth: usize) -> Result<()> {
        let Some(element) = self.tree.elements.get(id) else { return Ok(()) };
        let mark = self.tape.open_object();
        self.tape.str(element.name.as_bytes());
        self.element(element, depth + 1)?;
        self.tape.close(mark, 1);
        Ok(())
    }

    fn element(&mut self, element: &'a Element<'_>, depth: usize) -> Result<()> {
        if element.attributes.is_empty() && !has_elements(element) {
            self.tape.str(leaf(element).as_bytes());
            return Ok(());
        }
        self.check_depth(element, depth)?;
        let mark = self.tape.open_object();
        let mut count = element.attributes.len();
        for (name, value) in &element.attributes {
            self.tape.str(format!("@{name}").as_bytes());
            self.tape.str(value.as_bytes());
        }
        for (name, ids) in self.groups(element) {
            self.tape.str(name.as_bytes());
            self.group(&ids, depth)?;
            count += 1;
        }
        let text = if has_elements(element) { pieces(element) } else { leaf(element) };
        if !text.is_empty() {
            self.tape.str(b"#text");
            self.tape.str(text.as_bytes());
            count += 1;
        }
        self.tape.close(mark, count);
        Ok(())
    }

    /// The children by name, in the order in which the names come first.
    fn groups(&self, element: &'a Element<'_>) -> Vec<(&'a str, Vec<usize>)> {
        let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for child in &element.children {
            let Child::Element(id) = child else { continue };
            let name = self.tree.elements.get(*id).map_or("", |element| element.name);
            let place = *places.entry(name).or_insert(groups.len());
            match groups.get_mut(place) {
                Some((_, ids)) => ids.push(*id),
                None => groups.push((name, vec![*id])),
            }
        }
        groups
    }

    fn group(&mut self, ids: &[usize], depth: usize) -> Result<()> {
        let elements = &self.tree.elements;
        if let [id] = ids
            && let Some(element) = elements.get(*id)
        {
            return self.element(element, depth + 1);
        }
        let mark = self.tape.open_array();
        for element in ids.iter().filter_map(|id| elements.get(*id)) {
            self.check_depth(element, depth + 1)?;
            self.element(element, depth + 2)?;
        }
        self.tape.close(mark, ids.len());
        Ok(())
    }

    fn check_depth(&self, element: &Element<'_>, depth: usize) -> Result<()> {
        if depth < self.most {
            return Ok(());
        }
        Err(failed(self.tree.text, element.at, &format!("nested deeper than {}", self.most)))
    }
}

fn has_elements(element: &Element<'_>) -> bool {
    element.children.iter().any(|child| matches!(child, Child::Element(_)))
}

/// The text of an element without children: trimmed at its ends, CDATA to the letter.
fn leaf(element: &Element<'_>) -> String {
    let mut out = String::new();
    let last = element.children.len().saturating_sub(1);
    for (i, child) in element.children.iter().enumerate() {
        match child {
            Child::Exact(text) => out.push_str(text),
            Child::Text(text) => {
                let text = if i == 0 { text.trim_start() } else { text };
                out.push_str(if i == last { text.trim_end() } else { text });
            }
            Child::Element(_) => {}
        }
    }
    out
}

/// The text between children.
fn pieces(element: &Element<'_>) -> String {
    let mut out = String::new();
    for child in &element.children {
        let piece = match child {
            Child::Exact(text) => text,
            Child::Text(text) => text.trim(),
            Child::Element(_) => continue,
        };
        if !out.is_empty() && !piece.is_empty() {
            out.push(' ');
        }
        out.push_str(piece);
    }
    out
}
