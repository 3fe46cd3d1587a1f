//! `update` and `increment`: an entry is read, changed, and written if nobody else was faster;
//! otherwise once more.

use super::{Entry, Gate, Kind, Put, Spot, Value, about, write};
use crate::error::{Code, Error, Result, quoted};
use crate::runtime::Runtime;
use crate::step::{Call, Machine, Operation, Outcome, Output, Returned, Step, Token, stopped};
use crate::store::{Answer, Committed, Expected, Pending, Question, Record, Shared, Space, Write};
use crate::value::{Data, Document, Slot};

/// The version of a record whose commit is to come.
const QUEUED: u64 = 0;

/// Whom others were faster than so often has itself in the way: its function writes the key.
const ATTEMPTS: u32 = 1000;

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
    /// What was read is in the store, or what is written shall be.
    there: bool,
    /// Where it was read: there it is written, whatever the function makes of the configuration.
    store: Option<Shared>,
    pending: Option<Pending>,
    attempts: u32,
    /// What the call ends with, once it is written.
    result: Data,
}

impl Change {
    pub fn new(spot: Spot, key: String, how: How, fresh: Entry) -> Change {
        let (old, there, result) = (None, false, Data::Nil);
        let (store, pending, attempts) = (None, None, 0);
        Change { spot, key, how, fresh, old, there, store, pending, attempts, result }
    }

    pub fn operation(self) -> Operation {
        let (name, subject) = ("memory_write", self.key.clone());
        Operation { name, subject, machine: Box::new(self), deadline: None }
    }

    fn begin(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        self.attempts += 1;
        if self.attempts > ATTEMPTS {
            return Err(contention(&self.key));
        }
        self.old = runtime.recall(&self.spot);
        self.there = false;
        if self.store.is_none() {
            self.store = runtime.backing().cloned();
        }
        if self.old.is_some() || self.store.is_none() {
            return self.change(runtime, me);
        }
        let keys = vec![self.spot.key.clone()];
        self.ask(runtime, me, Question::Get { space: Space::Memory, keys })
    }

    fn ask(&mut self, runtime: &mut Runtime, me: Token, question: Question) -> Result<Step> {
        let waker = runtime.tasks.waker(me)?;
        self.pending = self.store.as_ref().map(|store| store.ask(question, waker));
        self.look(runtime, me)
    }

    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let Some(answer) = self.pending.as_ref().and_then(Pending::take) else {
            return Ok(Step::Wait(None));
        };
        self.pending = None;
        match answer? {
            Answer::Records(records) => self.read(runtime, me, records),
            Answer::Committed(Committed::Conflict(_)) => self.begin(runtime, me),
            Answer::Committed(Committed::Done(effects)) if effects.is_empty() => {
                self.begin(runtime, me)
            }
            _ => Ok(self.done(runtime)),
        }
    }

    fn done(&mut self, runtime: &mut Runtime) -> Step {
        let op = match &self.how {
            _ if matches!(self.result, Data::Nil) => "delete",
            How::Function(_) => "update",
            How::Add(_) => "increment",
        };
        runtime.tell_entry(&self.spot.key, op);
        Step::Done(Output::Data(std::mem::take(&mut self.result)))
    }

    fn read(
        &mut self,
        runtime: &mut Runtime,
        me: Token,
        records: Vec<Option<Record>>,
    ) -> Result<Step> {
        let found = records.into_iter().flatten().next();
        if found.as_ref().is_some_and(|record| record.version == QUEUED) {
            // It gets its version when it is committed, and no commit is in vain then.
            let (writes, durability) = (Vec::new(), runtime.config.durability);
            return self.ask(runtime, me, Question::Commit { writes, durability });
        }
        self.old = found.as_ref().map(Entry::from_record).transpose()?;
        self.there = self.old.is_some() || self.fresh.kind == Kind::Persistent;
        self.change(runtime, me)
    }

    /// Asks for the new value.
    fn change(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        match &self.how {
            How::Add(number) => {
                let sum = self.sum(number)?;
                self.pass(runtime, me, Some(sum))
            }
            How::Function(function) => {
                let old = self.old.as_ref().map_or(Data::Nil, |old| old.value.to_data());
                Ok(Step::Call(Call { keeps: true, ..Call::new(function.clone(), old) }))
            }
        }
    }

    fn sum(&self, number: &Value) -> Result<Value> {
        let Some(old) = &self.old else { return Ok(number.clone()) };
        if old.value.number().is_none() {
            let kind = old.value.kind();
            return Err(Error::state(format!("{} holds {kind}, not a number", quoted(&self.key))));
        }
        let too_large = || Error::state(format!("the sum of {} is too large", quoted(&self.key)));
        add(&old.value, number).ok_or_else(too_large)
    }

    fn returned(&mut self, runtime: &mut Runtime, me: Token, returned: Returned) -> Result<Step> {
        returned.text?;
        let value = returned.document.and_then(|document| document.value().map(Value::of));
        self.pass(runtime, me, value)
    }

    /// Hooks may change the new value or say no.
    fn pass(&mut self, runtime: &mut Runtime, me: Token, value: Option<Value>) -> Result<Step> {
        match value {
            Some(value) if runtime.hooks.is_hooked("memory_save") => {
                let mut document = Document::default();
                value.put(&mut document.tape);
                Ok(Step::Run(Gate::new(about(&self.spot.key), document.value()).operation()))
            }
            value => self.write(runtime, me, value),
        }
    }

    fn passed(
        &mut self,
        runtime: &mut Runtime,
        me: Token,
        outputs: Vec<Result<Output>>,
    ) -> Result<Step> {
        let value = Gate::passed(outputs)?.value().map(Value::of);
        self.write(runtime, me, value)
    }

    fn write(&mut self, runtime: &mut Runtime, me: Token, value: Option<Value>) -> Result<Step> {
        self.result = value.as_ref().map_or(Data::Nil, Value::to_data);
        if self.there {
            return self.commit(runtime, me, value);
        }
        let put = match value {
            Some(value) => {
                let like = self.old.as_ref().unwrap_or(&self.fresh).clone();
                runtime.keep_if(&self.spot, self.expected(), Entry { value, ..like })
            }
            None => self.remove(runtime),
        };
        match put {
            Put::Done => Ok(self.done(runtime)),
            Put::Conflict => self.begin(runtime, me),
        }
    }

    fn commit(&mut self, runtime: &mut Runtime, me: Token, value: Option<Value>) -> Result<Step> {
        let like = self.old.as_ref().unwrap_or(&self.fresh).clone();
        let entry = value.map(|value| Entry { value, ..like });
        let only_if = Some(self.expected());
        let writes = vec![Write { only_if, ..write(&self.spot, entry.as_ref()) }];
        let durability = runtime.config.durability;
        self.ask(runtime, me, Question::Commit { writes, durability })
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

fn contention(key: &str) -> Error {
    let key = quoted(key);
    let details = serde_json::json!({ "reason": "contention" });
    let message = format!(
        "{key} was written by others in the midst of each of {ATTEMPTS} attempts \
         (a function given to update must not write its own key)"
    );
    Error::new(Code::IoError, message).with(|f| f.details = Some(details))
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
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Start => self.begin(runtime, me),
            Outcome::Returned(returned) => self.returned(runtime, me, returned),
            Outcome::Finished(outputs) => self.passed(runtime, me, outputs),
            Outcome::Raised(raised) => Err(raised.into_error("the function given to update")),
            Outcome::Stop(stop) => Err(stopped(&stop, "the change")),
            _ => self.look(runtime, me),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
