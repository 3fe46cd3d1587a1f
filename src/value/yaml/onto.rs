//! A document's nodes onto the tape: keys become text, aliases copies, `<<` its members.

use std::collections::HashSet;

use super::super::{Tape, json};
use super::Options;
use super::nodes::{Id, Member, Node, Reader};
use super::resolve::Scalar;
use crate::error::Result;

/// Values that aliases may add to a text, besides one for each byte of it. A few lines of
/// aliases of aliases stand for more values than there is memory.
const ALIASED: usize = 50_000;

pub struct Onto<'a, 't> {
    reader: &'a Reader<'t>,
    tape: &'a mut Tape,
    options: &'a Options,
    warnings: &'a mut Vec<String>,
    /// Values that may still be written.
    budget: usize,
}

impl<'a, 't> Onto<'a, 't> {
    pub fn new(
        reader: &'a Reader<'t>,
        tape: &'a mut Tape,
        options: &'a Options,
        warnings: &'a mut Vec<String>,
    ) -> Onto<'a, 't> {
        let budget = 3 * reader.nodes.len() + reader.text.len() + ALIASED;
        Onto { reader, tape, options, warnings, budget }
    }

    pub fn document(&mut self) -> Result<()> {
        match self.reader.root {
            Some(root) => self.value(root, 0),
            None => {
                self.tape.null();
                Ok(())
            }
        }
    }

    fn value(&mut self, id: Id, depth: usize) -> Result<()> {
        self.spend(id, 0)?;
        let reader = self.reader;
        match reader.nodes.get(id) {
            Some(Node::Scalar(value, text)) => {
                self.spend(id, text.len())?;
                self.scalar(*value, text);
            }
            Some(Node::Sequence(items)) => {
                self.check_depth(id, depth)?;
                let mark = self.tape.open_array();
                items.iter().try_for_each(|item| self.value(*item, depth + 1))?;
                self.tape.close(mark, items.len());
            }
            Some(Node::Mapping(members)) => {
                self.check_depth(id, depth)?;
                self.mapping(members, depth)?;
            }
            None => self.tape.null(),
        }
        Ok(())
    }

    /// Aliases may nest deeper than the text does.
    fn check_depth(&self, id: Id, depth: usize) -> Result<()> {
        let most = self.options.max_depth;
        if depth < most {
            return Ok(());
        }
        Err(self.reader.failed_at(id, &format!("nested deeper than {most}")))
    }

    /// Pays for a value, or for some of its text.
    fn spend(&mut self, id: Id, bytes: usize) -> Result<()> {
        const BYTES_OF_A_VALUE: usize = 32;
        let left = self.budget.checked_sub(1 + bytes / BYTES_OF_A_VALUE);
        let too_many = || self.reader.failed_at(id, "its aliases stand for too many values");
        self.budget = left.ok_or_else(too_many)?;
        Ok(())
    }

    fn scalar(&mut self, value: Scalar, text: &str) {
        match value {
            Scalar::Null => self.tape.null(),
            Scalar::Bool(value) => self.tape.bool(value),
            Scalar::Int(value) => self.tape.int(value),
            Scalar::Float(value) => self.tape.float(value),
            Scalar::Text => self.tape.str(text.as_bytes()),
        }
    }

    fn mapping(&mut self, members: &[Member], depth: usize) -> Result<()> {
        let mark = self.tape.open_object();
        let mut seen = Seen::default();
        let mut count = 0;
        for member in members.iter().filter(|member| !member.merge) {
            let key = self.key(member.key, depth)?;
            if !seen.add(&key) {
                self.repeated(member.key, &key)?;
            }
            self.member(&key, member.value, depth)?;
            count += 1;
        }
        for member in members.iter().filter(|member| member.merge) {
            count += self.merge(member, &mut seen, depth)?;
        }
        self.tape.close(mark, count);
        Ok(())
    }

    fn member(&mut self, key: &str, value: Id, depth: usize) -> Result<()> {
        self.tape.str(key.as_bytes());
        self.value(value, depth + 1)
    }

    fn repeated(&mut self, id: Id, key: &str) -> Result<()> {
        let reason = format!("the key {} twice", crate::error::quoted(key));
        if self.options.unique_keys {
            return Err(self.reader.failed_at(id, &reason));
        }
        self.warn(reason + ": the last one counts");
        Ok(())
    }

    /// Members of other mappings that this one has not. Gives their number.
    fn merge(&mut self, member: &Member, seen: &mut Seen, depth: usize) -> Result<usize> {
        let reader = self.reader;
        let mut count = 0;
        for source in sources(reader, member.value) {
            let Some(Node::Mapping(members)) = reader.nodes.get(source) else {
                return Err(reader.failed_at(member.key, "<< of something that is no mapping"));
            };
            self.check_depth(source, depth)?;
            for member in members {
                count += self.merge_member(member, seen, depth)?;
            }
        }
        Ok(count)
    }

    fn merge_member(&mut self, member: &Member, seen: &mut Seen, depth: usize) -> Result<usize> {
        if member.merge {
            self.spend(member.key, 0)?;
            return self.merge(member, seen, depth + 1);
        }
        let key = self.key(member.key, depth)?;
        if !seen.add(&key) {
            return Ok(0);
        }
        self.member(&key, member.value, depth)?;
        Ok(1)
    }

    fn key(&mut self, id: Id, depth: usize) -> Result<String> {
        let reader = self.reader;
        if let Some(Node::Scalar(_, text)) = reader.nodes.get(id) {
            self.spend(id, text.len())?;
            return Ok(text.clone().into_owned());
        }
        let at = self.tape.len();
        self.value(id, depth + 1)?;
        let text = self.tape.at(at).map(json::to_string).unwrap_or_default();
        self.tape.truncate(at);
        self.spend(id, text.len())?;
        self.warn(format!("a key that is no text became {}", crate::error::quoted(&text)));
        Ok(text)
    }

    fn warn(&mut self, warning: String) {
        const MOST: usize = 20;
        if self.warnings.len() < MOST && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// What `<<` names: a mapping, or a list of them.
fn sources(reader: &Reader<'_>, id: Id) -> Vec<Id> {
    match reader.nodes.get(id) {
        Some(Node::Sequence(items)) => items.clone(),
        _ => vec![id],
    }
}

/// Keys met so far. Few are compared, many are hashed.
#[derive(Default)]
struct Seen {
    few: Vec<String>,
    many: HashSet<String>,
}

impl Seen {
    const FEW: usize = 8;

    /// False if it was there.
    fn add(&mut self, key: &str) -> bool {
        if self.many.is_empty() && self.few.len() < Seen::FEW {
            let new = !self.few.iter().any(|known| known == key);
            if new {
                self.few.push(key.to_owned());
            }
            return new;
        }
        if self.many.is_empty() {
            self.many.extend(self.few.drain(..));
        }
        self.many.insert(key.to_owned())
    }
}
