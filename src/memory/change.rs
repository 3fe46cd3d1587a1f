//! `update` and `increment`: an entry is read, changed, and written if nobody else was faster;
//! otherwise once more.

use super::{Entry, Put, Spot, Value};
use crate::error::{Error, Result};
use crate::runtime::Runtime;
use crate::step::{Call, Machine, Operation, Outcome, Output, Returned, Step, Token, stopped};
use crate::store::Expected;
use crate::value::{Data, Slot};

/// What happens to the value.
#[derive(Clone, Debug)]
pub enum How {
    /// Called with the old value or nil; nil from it deletes.
    Function(Slot),
    /// A number is added; nothing counts as 0.
    Add(Value),
}

pub struct Change {
    pub spot: Spot,
    /// As messages call it.
    pub key: String,
    pub how: How,
    /// What the entry is like if there is none: its value does not count.
    pub fresh: Entry,
    /// What was read.
    old: Option<Entry>,
}

impl Change {
    pub fn new(spot: Spot, key: String, how: How, fresh: Entry) -> Change {
        Change { spot, key, how, fresh, old: None }
    }

    pub fn operation(self) -> Operation {
        let (name, subject) = ("memory_save", self.key.clone());
        Operation { name, subject, machine: Box::new(self), deadline: None }
    }

    fn begin(&mut self, runtime: &mut Runtime) -> Result<Step> {
        self.old = runtime.recall(&self.spot);
        self.change(runtime)
    }

    /// Asks for the new value.
    fn change(&mut self, runtime: &mut Runtime) -> Result<Step> {
        match &self.how {
            How::Add(number) => {
                let sum = self.sum(number)?;
                self.write(runtime, Some(sum))
            }
            How::Function(function) => Ok(Step::Call(Call {
                function: function.clone(),
                argument: self.old.as_ref().map_or(Data::Nil, |old| old.value.to_data()),
                info: None,
                limit: None,
                text: false,
                keeps: true,
                listens: false,
            })),
        }
    }

    fn sum(&self, number: &Value) -> Result<Value> {
        let Some(old) = &self.old else { return Ok(number.clone()) };
        add(&old.value, number).ok_or_else(|| {
            Error::state(format!("{:?} holds no number that can be added to", self.key))
        })
    }

    fn returned(&mut self, runtime: &mut Runtime, returned: Returned) -> Result<Step> {
        returned.text?;
        let value = returned.document.and_then(|document| document.value().map(Value::of));
        self.write(runtime, value)
    }

    fn write(&mut self, runtime: &mut Runtime, value: Option<Value>) -> Result<Step> {
        let result = value.as_ref().map_or(Data::Nil, Value::to_data);
        let put = match value {
            Some(value) => {
                let like = self.old.as_ref().unwrap_or(&self.fresh).clone();
                runtime.keep_if(&self.spot, self.expected(), Entry { value, ..like })
            }
            None => self.remove(runtime),
        };
        match put {
            Put::Done => Ok(Step::Done(Output::Data(result))),
            Put::Conflict => self.begin(runtime),
        }
    }

    fn expected(&self) -> Expected {
        self.old.as_ref().map_or(Expected::Absent, |old| Expected::Version(old.version))
    }

    fn remove(&self, runtime: &mut Runtime) -> Put {
        let Some(old) = &self.old else { return Put::Done };
        let now = runtime.clock.unix_ms();
        let key = &self.spot.key;
        runtime.memory.within(self.spot.scope, |space| {
            if space.peek(key, now).is_some_and(|entry| entry.version != old.version) {
                return Put::Conflict;
            }
            space.remove(key, now);
            Put::Done
        })
    }
}

/// Integers stay integers while they fit.
fn add(a: &Value, b: &Value) -> Option<Value> {
    if let (Value::Int(a), Value::Int(b)) = (a, b)
        && let Some(sum) = a.checked_add(*b)
    {
        return Some(Value::Int(sum));
    }
    let sum = a.number()? + b.number()?;
    sum.is_finite().then_some(Value::Float(sum))
}

impl Machine for Change {
    fn step(&mut self, runtime: &mut Runtime, _: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start => self.begin(runtime),
            Outcome::Returned(returned) => self.returned(runtime, returned),
            Outcome::Raised(raised) => Err(raised.into_error("the function given to update")),
            Outcome::Stop(stop) => Err(stopped(&stop, "the change")),
            _ => Ok(Step::Wait(None)),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
