//! Entries whose embeddings come from a provider: asked for at once, then kept with them.

use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::value::Data;

use super::super::{Item, Keep};

/// Turns texts of items into their embeddings and keeps them all.
pub struct Embed {
    /// What asks for the vectors.
    ask: Option<Operation>,
    items: Vec<Item>,
    /// Which of the items they are for, in their order.
    whose: Vec<usize>,
    result: fn(u64) -> Data,
    keep: Option<Keep>,
}

impl Embed {
    pub fn operation(
        ask: Operation,
        items: Vec<Item>,
        whose: Vec<usize>,
        result: fn(u64) -> Data,
    ) -> Operation {
        Operation::new("memory_write", Embed { ask: Some(ask), items, whose, result, keep: None })
    }

    fn ask(&mut self) -> Result<Step> {
        let ask = self.ask.take().ok_or_else(|| Error::internal("asked twice"))?;
        Ok(Step::Run(ask))
    }

    fn keep(
        &mut self,
        runtime: &mut Runtime,
        me: Token,
        outputs: Vec<Result<Output>>,
    ) -> Result<Step> {
        let vectors = vectors_of(outputs)?;
        if vectors.len() != self.whose.len() {
            return Err(Error::internal("not one vector for each text"));
        }
        for (at, vector) in self.whose.iter().zip(vectors) {
            let numbers: Vec<f32> = vector.into_iter().map(|n| n as f32).collect();
            if is_nowhere(&numbers) {
                return Err(Error::new(Code::BadResponse, "the embedding of a text is zero"));
            }
            if let Some(entry) = self.items.get_mut(*at).and_then(|item| item.entry.as_mut()) {
                entry.extra.get_or_insert_default().embedding = Some(numbers.into());
            }
        }
        let mut keep = Keep::new(std::mem::take(&mut self.items), self.result);
        match keep.begin(runtime)? {
            Some(data) => Ok(Step::Done(Output::Data(data))),
            None => self.keep.insert(keep).step(runtime, me, Outcome::Start),
        }
    }
}

impl Machine for Embed {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match (&mut self.keep, outcome) {
            (Some(keep), outcome) => keep.step(runtime, me, outcome),
            (None, Outcome::Start) => self.ask(),
            (None, Outcome::Finished(outputs)) => self.keep(runtime, me, outputs),
            (None, Outcome::Stop(stop)) => Err(stopped(&stop, "storing")),
            (None, _) => Ok(Step::Wait(None)),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}

/// Whether a vector has no direction as it is stored.
pub fn is_nowhere(numbers: &[f32]) -> bool {
    numbers.iter().all(|n| *n == 0.0) || numbers.iter().any(|n| !n.is_finite())
}

/// What a provider answered, as numbers.
pub fn vectors_of(outputs: Vec<Result<Output>>) -> Result<Vec<Vec<f64>>> {
    let mut all = Vec::new();
    for output in outputs {
        let Data::Record(record) = output?.into_data() else { return Err(no_vectors()) };
        let member = record.fields.into_iter().find(|(name, _)| name == "embeddings");
        let Some((_, Data::List(vectors))) = member else { return Err(no_vectors()) };
        for vector in vectors {
            let Data::Numbers(numbers) = vector else { return Err(no_vectors()) };
            all.push(numbers);
        }
    }
    Ok(all)
}

fn no_vectors() -> Error {
    Error::internal("a provider's answer without vectors")
}
