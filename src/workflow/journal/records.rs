//! Each kind of record, written and read.

use serde_json::Value;

use super::codec::{Reading, Writing};
use super::plain::told;
use super::{Boundary, Child, Ending, Head, Options, Over, Owner, Plain, Step, StepEnd, Wish};
use crate::agent::{usage, usage_to_json};
use crate::error::{Code, Error, Result};
use crate::workflow::Status;
use crate::workflow::definition::OnUnknown;
use crate::workflow::execution::How;

impl Head {
    pub(super) fn seal(&self, key: &[u8]) -> Vec<u8> {
        let record = Writing::new()
            .text("workflow", &self.workflow)
            .text("version", &self.version)
            .number("definition", self.definition)
            .text("status", self.status.name())
            .number("open", u64::from(self.open))
            .float("created_at", Some(self.created_at))
            .float("changed_at", Some(self.changed_at))
            .float("finished_at", self.finished_at)
            .number("fence", self.fence);
        self.owner.write(record).seal(key)
    }

    pub(super) fn read(run: &str, key: &[u8], bytes: &[u8]) -> Result<Head> {
        let record = Reading::open(key, bytes)?;
        Ok(Head {
            run: run.to_owned(),
            workflow: record.text("workflow")?,
            version: record.text("version")?,
            definition: record.number("definition")?,
            status: record.word("status", Status::of)?,
            open: record.number("open")? != 0,
            created_at: record.float("created_at")?,
            changed_at: record.float("changed_at")?,
            finished_at: record.maybe_float("finished_at")?,
            fence: record.number("fence")?,
            owner: Owner::read(&record)?,
            is_owned: false,
        })
    }
}

impl Owner {
    fn write(&self, record: Writing) -> Writing {
        record
            .text("host", &self.host)
            .text("boot", &self.boot)
            .number("pid", u64::from(self.pid))
            .number("start", self.start)
    }

    fn read(record: &Reading<'_>) -> Result<Owner> {
        Ok(Owner {
            host: record.text("host")?,
            boot: record.text("boot")?,
            pid: record.count("pid")?,
            start: record.number("start")?,
        })
    }
}

/// By whom a run is held. How long, the store knows: the record expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub owner: Owner,
    /// Of one claim: tells whose it is when nobody knows whether the claim was made.
    pub token: u64,
}

impl Lease {
    pub fn seal(&self, key: &[u8]) -> Vec<u8> {
        self.owner.write(Writing::new().number("token", self.token)).seal(key)
    }

    pub fn read(key: &[u8], bytes: &[u8]) -> Result<Lease> {
        let record = Reading::open(key, bytes)?;
        Ok(Lease { owner: Owner::read(&record)?, token: record.number("token")? })
    }
}

impl Wish {
    pub(super) fn seal(&self, key: &[u8]) -> Vec<u8> {
        let (word, reason) = match self {
            Wish::Pause => ("pause", None),
            Wish::Resume => ("resume", None),
            Wish::Cancel(reason) => ("cancel", reason.as_deref()),
        };
        Writing::new().text("wish", word).maybe_text("reason", reason).seal(key)
    }

    pub(super) fn read(key: &[u8], bytes: &[u8]) -> Result<Wish> {
        let record = Reading::open(key, bytes)?;
        let reason = record.maybe_text("reason")?;
        record.word("wish", |word| match word {
            "pause" => Some(Wish::Pause),
            "resume" => Some(Wish::Resume),
            "cancel" => Some(Wish::Cancel(reason)),
            _ => None,
        })
    }
}

pub fn seal_input(input: &Plain, options: &Options, key: &[u8]) -> Vec<u8> {
    Writing::new()
        .plain("input", input)
        .maybe_text("on_unknown", options.on_unknown.map(OnUnknown::name))
        .plain("metadata", &options.metadata)
        .float("timeout_ms", options.timeout_ms)
        .seal(key)
}

pub fn read_input(key: &[u8], bytes: &[u8]) -> Result<(Plain, Options)> {
    let record = Reading::open(key, bytes)?;
    let on_unknown = match record.maybe_text("on_unknown")? {
        None => None,
        Some(_) => Some(record.word("on_unknown", OnUnknown::of)?),
    };
    let timeout_ms = record.maybe_float("timeout_ms")?;
    let options = Options { on_unknown, metadata: record.plain("metadata"), timeout_ms };
    Ok((record.plain("input"), options))
}

impl Ending {
    pub(super) fn seal(&self, key: &[u8]) -> Vec<u8> {
        Writing::new()
            .text("over", self.over.name())
            .plain("result", &self.result)
            .json("error", self.error.as_ref().map(told).as_ref())
            .seal(key)
    }

    pub(super) fn read(key: &[u8], bytes: &[u8]) -> Result<Ending> {
        let record = Reading::open(key, bytes)?;
        Ok(Ending {
            over: record.word("over", Over::parse)?,
            result: record.plain("result"),
            error: error(&record)?,
        })
    }
}

fn error(record: &Reading<'_>) -> Result<Option<Error>> {
    let Some(told) = record.json("error") else { return Ok(None) };
    let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default();
    // A code that a later version has added is a defect of nobody.
    let code = Code::parse(text("code")).unwrap_or(Code::Internal);
    Ok(Some(Error::new(code, text("message")).with_fields(&told)))
}

impl Step {
    pub(super) fn seal(&self, key: &[u8]) -> Vec<u8> {
        match self {
            Step::Started { id, attempt, at } => Writing::new()
                .text("id", id)
                .number("attempt", u64::from(*attempt))
                .float("at", Some(*at))
                .seal(key),
            Step::Ended { id, order, end } => {
                end.write(Writing::new().text("id", id).number("order", *order)).seal(key)
            }
        }
    }

    pub(super) fn read(key: &[u8], bytes: &[u8]) -> Result<Step> {
        let record = Reading::open(key, bytes)?;
        let id = record.text("id")?;
        if record.maybe_text("how")?.is_none() {
            return Ok(Step::Started {
                id,
                attempt: record.count("attempt")?,
                at: record.float("at")?,
            });
        }
        Ok(Step::Ended { id, order: record.number("order")?, end: StepEnd::read(&record)? })
    }
}

impl StepEnd {
    fn write(&self, record: Writing) -> Writing {
        record
            .text("how", self.how.name())
            .plain("output", &self.output)
            .plain("response", &self.response)
            .json("error", self.error.as_ref().map(told).as_ref())
            .number("attempts", u64::from(self.attempts))
            .float("started_at", self.started_at)
            .float("duration_ms", self.duration_ms)
    }

    fn read(record: &Reading<'_>) -> Result<StepEnd> {
        Ok(StepEnd {
            how: record.word("how", How::of)?,
            output: record.plain("output"),
            response: record.plain("response"),
            error: error(record)?,
            attempts: record.count("attempts")?,
            started_at: record.maybe_float("started_at")?,
            duration_ms: record.maybe_float("duration_ms")?,
        })
    }
}

impl Boundary {
    pub(super) fn seal(&self, key: &[u8]) -> Vec<u8> {
        Writing::new()
            .plain("variables", &self.variables)
            .json("usage", Some(&usage_to_json(&self.usage)))
            .float("worked_ms", Some(self.worked_ms))
            .seal(key)
    }

    pub(super) fn read(key: &[u8], bytes: &[u8]) -> Result<Boundary> {
        let record = Reading::open(key, bytes)?;
        let told = record.json("usage").unwrap_or_default();
        Ok(Boundary {
            variables: record.plain("variables"),
            usage: usage(&told, "usage").map_err(|_| super::codec::corrupt(key))?,
            worked_ms: record.float("worked_ms")?,
        })
    }
}

impl Child {
    pub(super) fn seal(&self, key: &[u8]) -> Vec<u8> {
        Writing::new()
            .text("workflow", &self.workflow)
            .text("version", &self.version)
            .number("definition", self.definition)
            .plain("input", &self.input)
            .seal(key)
    }

    pub(super) fn read(key: &[u8], bytes: &[u8]) -> Result<Child> {
        let record = Reading::open(key, bytes)?;
        Ok(Child {
            workflow: record.text("workflow")?,
            version: record.text("version")?,
            definition: record.number("definition")?,
            input: record.plain("input"),
        })
    }
}

/// What was decided, or the state of an agent that waits.
pub fn seal_value(value: &Value, key: &[u8]) -> Vec<u8> {
    Writing::new().json("value", Some(value)).seal(key)
}

pub fn read_value(key: &[u8], bytes: &[u8]) -> Result<Value> {
    Ok(Reading::open(key, bytes)?.json("value").unwrap_or_default())
}
