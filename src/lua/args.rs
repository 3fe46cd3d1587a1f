//! The arguments of one call, checked against the declaration before an operation sees them.

use crate::error::{Error, Result};
use crate::optimize::Key;
use crate::shape::{Check, Kind, Options, Shape, id_of};
use crate::value::{Ref, Slot, Tape};

use super::bridge::Param;
use super::stack::Borrowed;

/// Where an argument stands: on the tape, by reference, or both.
#[derive(Clone, Debug, Default)]
pub struct Place {
    pub node: Option<usize>,
    pub slot: Option<Slot>,
    /// A text that was not copied.
    pub text: Option<Borrowed>,
    /// Where it stands if it is plain data but for strings that are no text.
    pub bytes: Option<usize>,
    /// Why it is no plain data, where it may pass all the same.
    pub problems: Vec<NoData>,
}

/// Something that is no plain data, and where it stands in its argument.
#[derive(Clone, Debug)]
pub struct NoData {
    /// JSON pointer.
    pub path: String,
    pub error: Error,
}

pub struct Args<'t> {
    tape: &'t Tape,
    places: &'t [Place],
}

impl<'t> Args<'t> {
    /// Checks every argument; the first violation is the error.
    pub fn check(
        params: &'static [Param],
        tape: &'t Tape,
        places: &'t [Place],
        check: Check,
    ) -> Result<Args<'t>> {
        let args = Args { tape, places };
        for (i, param) in params.iter().enumerate() {
            args.check_one(i, param, check)?;
        }
        Ok(args)
    }

    fn check_one(&self, i: usize, param: &'static Param, check: Check) -> Result<()> {
        if self.bytes(i).is_some() {
            return Ok(());
        }
        if let Some(value) = self.get(i) {
            let named = |e: Error| if nested(&e, param) { e } else { e.at(&argument(i)) };
            return check.value(value, &param.kind, param.name).map_err(named);
        }
        if param.optional || self.slot(i).is_some() || matches!(param.kind, Kind::Any | Kind::Value)
        {
            return Ok(());
        }
        let expected = param.kind.describe();
        Err(Error::invalid(format!(
            "{}: {}: expected {expected}, got nil",
            argument(i),
            param.name
        )))
    }

    /// An argument by position; `None` if it is absent, nil or null.
    pub fn get(&self, i: usize) -> Option<Ref<'t>> {
        let node = self.places.get(i)?.node?;
        self.tape.at(node).filter(|value| !value.is_null())
    }

    /// An argument in which strings are no text, and which was read by [`Read::Both`].
    ///
    /// [`Read::Both`]: super::bridge::Read
    pub fn bytes_of(&self, i: usize) -> Option<Ref<'t>> {
        self.tape.at(self.places.get(i)?.bytes?)
    }

    /// The text of an argument whose parameter is read as [`Read::Text`](super::bridge::Read).
    pub fn bytes(&self, i: usize) -> Option<&'t [u8]> {
        self.places.get(i)?.text.as_ref().map(Borrowed::bytes)
    }

    /// The argument's Lua value, where its parameter is read by reference.
    pub fn slot(&self, i: usize) -> Option<Slot> {
        self.places.get(i)?.slot.clone()
    }

    /// As [`Args::slot`], but null is as good as absent.
    pub fn given(&self, i: usize) -> Option<Slot> {
        let place = self.places.get(i)?;
        let null = place.node.is_some() && self.get(i).is_none();
        place.slot.clone().filter(|_| !null)
    }

    /// Fails unless the argument is plain data.
    pub fn require_data(&self, i: usize) -> Result<()> {
        self.problems(i).first().map_or(Ok(()), |problem| Err(problem.error.clone()))
    }

    /// What in the argument is no plain data.
    pub fn problems(&self, i: usize) -> &'t [NoData] {
        self.places.get(i).map_or(&[], |place| &place.problems)
    }

    /// All arguments as part of a question. What is absent, nil and null are one.
    pub fn write(&self, key: &mut Key) {
        (0..self.places.len()).for_each(|i| self.write_one(i, key));
    }

    /// The same of one of them.
    pub fn write_one(&self, i: usize, key: &mut Key) {
        let place = self.places.get(i);
        if !self.problems(i).is_empty() {
            return key.refuse();
        }
        match (self.bytes(i), self.get(i)) {
            (Some(bytes), _) => key.text(bytes),
            (None, Some(value)) => key.value(value),
            (None, None) if place.is_some_and(|p| p.slot.is_some() && p.node.is_none()) => {
                key.refuse();
            }
            (None, None) => key.nothing(),
        }
    }

    pub fn text(&self, i: usize) -> Option<&'t str> {
        self.get(i)?.as_str()
    }

    /// A number; 0 if it is absent.
    pub fn number(&self, i: usize) -> f64 {
        self.get(i).and_then(Ref::as_f64).unwrap_or_default()
    }

    /// An id, name, or the `id` of a table that `get` or `get_info` returned.
    pub fn id(&self, i: usize) -> String {
        self.get(i).and_then(id_of).unwrap_or_default()
    }

    pub fn options(&self, i: usize, shape: &'static Shape) -> Options<'t> {
        Options::new(self.get(i).filter(|value| value.is_object()), shape)
    }
}

fn argument(i: usize) -> String {
    format!("argument #{}", i + 1)
}

/// A path that leads into the argument says enough; the number would only be noise.
fn nested(error: &Error, param: &Param) -> bool {
    let rest = error.message().strip_prefix(param.name).unwrap_or_default();
    rest.starts_with('.') || rest.starts_with('[')
}
