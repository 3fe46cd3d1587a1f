//! One value on its way into memory, where hooks may change it or say no.

use super::{Address, Value, address};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Given, Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::value::{Data, Document, Record, Ref};

/// Ends with the value, as the hooks around it leave it.
pub struct Gate {
    about: Record,
    value: Document,
}

impl Gate {
    /// `about` says which entry it is. Without a value it passes nothing.
    pub fn new(about: Record, value: Option<Ref<'_>>) -> Gate {
        Gate { about, value: value.map(Document::copy).unwrap_or_default() }
    }

    /// The operation that hooks know as the saving of an entry.
    pub fn operation(self) -> Operation {
        Operation::new("memory_save", self)
    }

    /// The value a gate has ended with.
    pub fn passed(outputs: Vec<Result<Output>>) -> Result<Document> {
        match outputs.into_iter().next() {
            Some(Ok(Output::Data(Data::Document(document)))) => Ok(*document),
            Some(Err(error)) => Err(error),
            _ => Err(Error::internal("a gate ended with something else")),
        }
    }
}

/// The key alone, of a whole one.
pub fn name(key: &[u8]) -> Data {
    let key = address::parse(key).map_or(key, |(_, key)| key);
    match std::str::from_utf8(key) {
        Ok(text) => Data::from(text),
        Err(_) => Value::Text(key.into()).to_data(),
    }
}

/// Key, scope and owner.
pub fn about(key: &[u8]) -> Record {
    let whose = address::parse(key).map_or_else(Address::default, |(address, _)| address);
    Record::new()
        .set("key", name(key))
        .set("scope", whose.scope.name())
        .set("owner", Some(whose.owner).filter(|owner| !owner.is_empty()))
}

impl Machine for Gate {
    fn step(&mut self, _: &mut Runtime, _: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Stop(stop) => Err(stopped(&stop, "storing")),
            _ => Ok(Step::Done(Output::Data(std::mem::take(&mut self.value).into()))),
        }
    }

    fn about(&self, _: &Runtime) -> Record {
        self.about.clone()
    }

    fn input(&self) -> Data {
        self.value.clone().into()
    }

    fn replace_input(&mut self, _: &mut Runtime, given: &Given<'_>) -> Result<()> {
        if let Some(document) = given.document()? {
            self.value = document;
        }
        Ok(())
    }

    fn replace_output(
        &mut self,
        _: &mut Runtime,
        given: &Given<'_>,
        own: Option<Output>,
    ) -> Result<Output> {
        match (given.document()?, own) {
            (Some(document), _) => Ok(Output::Data(document.into())),
            (None, Some(own)) => Ok(own),
            (None, None) => Err(Error::invalid("expected the value to be stored, got nil")),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
