//! A table of a definition, its members by the names of their fields.
//!
//! A workflow may have many thousand steps with three members each, and a step may have forty: so the
//! members are looked up once, and fields that were not given cost next to nothing.

use super::problem::{Flaw, Problem};
use crate::shape::{Check, Field, Kind, Shape, id_of, nearest, shown};
use crate::value::tape::Kind as Tag;
use crate::value::{Ref, Slot};

pub struct Given<'t> {
    members: Vec<(&'static Field, Ref<'t>)>,
    /// Fields that were given, but not as they must be.
    wrong: Vec<&'static str>,
}

impl<'t> Given<'t> {
    pub fn nothing() -> Given<'t> {
        Given { members: Vec::new(), wrong: Vec::new() }
    }

    /// Members that are not as the shape says are told in `problems`, and left out. Lists of steps
    /// are taken as they are.
    pub fn read(
        table: Ref<'t>,
        shape: &'static Shape,
        check: Check,
        place: &str,
        problems: &mut Vec<Problem>,
    ) -> Given<'t> {
        let mut given = Given::nothing();
        for (key, value) in table.members() {
            let field = key.as_str().and_then(|key| shape.find(key));
            match field {
                Some(_) if value.is_null() => {}
                Some(field) if given.get(field.name).is_some() => {
                    problems.push(twice(place, field));
                }
                Some(field) if is_steps(&field.kind) => given.members.push((field, value)),
                _ => match check.member(key.as_str(), value, shape, place) {
                    Ok(()) => given.members.extend(field.map(|field| (field, value))),
                    Err(error) => {
                        let path = inner(place, &key.to_text());
                        let problem = field.and_then(|field| not_one(&path, field, value));
                        problems.push(problem.unwrap_or_else(|| Problem::of(&path, &error)));
                        given.wrong.extend(field.map(|field| field.name));
                    }
                },
            }
        }
        given
    }

    pub fn get(&self, name: &str) -> Option<Ref<'t>> {
        self.members.iter().find(|(field, _)| field.name == name).map(|(_, value)| *value)
    }

    /// Whether it was given, if only as something else than it must be.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some() || self.wrong.contains(&name)
    }

    pub fn is_wrong(&self, name: &str) -> bool {
        self.wrong.contains(&name)
    }

    /// The fields that were given.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let members: Vec<_> = self.members.iter().map(|(field, _)| field.name).collect();
        members.into_iter()
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.as_str().map(str::to_owned)
    }

    pub fn bool(&self, name: &str) -> Option<bool> {
        self.get(name)?.as_bool()
    }

    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.as_f64()
    }

    pub fn count(&self, name: &str) -> Option<u64> {
        self.number(name).map(|n| n as u64)
    }

    pub fn id(&self, name: &str) -> Option<String> {
        self.get(name).and_then(id_of)
    }

    pub fn function(&self, name: &str) -> Option<Slot> {
        let value = self.get(name)?;
        (value.kind() == Tag::Function).then(|| value.as_slot().cloned()).flatten()
    }

    /// A word of a fixed set, as it is declared.
    pub fn word(&self, name: &str) -> Option<&'static str> {
        let (field, value) = self.members.iter().find(|(field, _)| field.name == name)?;
        let Kind::Enum(words) = &field.kind else { return None };
        let text = value.as_str()?;
        words.iter().find(|word| word.eq_ignore_ascii_case(text)).copied()
    }
}

fn is_steps(kind: &Kind) -> bool {
    matches!(kind, Kind::List(Kind::Later(_)))
}

fn twice(place: &str, field: &Field) -> Problem {
    let all: Vec<_> = [field.name].iter().chain(field.aliases).map(|n| format!("{n:?}")).collect();
    let message = format!("{} are one field, which is given twice", all.join(" and "));
    Problem::new(inner(place, field.name), message, Flaw::InvalidValue)
}

/// A word that is none of those there are; it may be a slip of the pen.
fn not_one(path: &str, field: &Field, value: Ref<'_>) -> Option<Problem> {
    let (Kind::Enum(words), Some(text)) = (&field.kind, value.as_str()) else { return None };
    let hint = nearest(text, words.iter().copied());
    let hint = hint.map(|word| format!(", did you mean {word:?}?")).unwrap_or_default();
    let message = format!("expected {}, got {}{hint}", field.kind.describe(), shown(value));
    let flaw = if field.name == "type" { Flaw::UnknownType } else { Flaw::InvalidValue };
    Some(Problem::new(path, message, flaw))
}

/// The path of a field of the table at `place`.
pub fn inner(place: &str, field: &str) -> String {
    let dot = if place.is_empty() || field.is_empty() { "" } else { "." };
    format!("{place}{dot}{field}")
}
