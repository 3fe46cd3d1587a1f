//! A tool of a server, and one call of it.

use std::collections::VecDeque;
use std::rc::Rc;

use serde_json::{Value, json};

use super::content;
use super::mailbox::{Answer, Trouble};
use super::remote::{Asked, Remote, Visitor};
use crate::clock::Moment;
use crate::error::{Code, Error, Result};
use crate::event::Builtin;
use crate::runtime::Runtime;
use crate::step::{Machine, Outcome, Output, Step, Token, stopped};
use crate::tool::worker::{self, Work, Worker};
use crate::value::{Data, Record};

/// A session that has expired, and redirects, cost a call so many tries.
const MOST_TRIES: u32 = 6;

/// What an imported tool does its work with. The server lasts as long as one of these.
#[derive(Debug)]
pub struct Imported {
    pub remote: Rc<Remote>,
    /// As it is called there.
    pub name: String,
}

impl Worker for Imported {
    fn kind(&self) -> &'static str {
        "mcp"
    }

    fn overlaps(&self) -> bool {
        true
    }

    fn is_heard(&self, runtime: &Runtime) -> bool {
        self.remote.speaks_by(&runtime.transport)
    }

    fn start(&self, _: &mut Runtime, asked: worker::Asked) -> Result<Work> {
        let (remote, name) = (self.remote.clone(), self.name.clone());
        let (input, info) = (asked.input, asked.info);
        Ok(Work::Goes(Box::new(Calling {
            remote,
            name,
            input,
            info,
            visitor: None,
            asked: None,
            tries: 0,
            paused: None,
        })))
    }
}

struct Calling {
    remote: Rc<Remote>,
    name: String,
    input: Value,
    info: Record,
    visitor: Option<Visitor>,
    asked: Option<Asked>,
    tries: u32,
    /// The answer goes on then, after what was seen of it.
    paused: Option<(Moment, String)>,
}

impl Calling {
    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let visitor = match self.visitor.take() {
            Some(visitor) => visitor,
            None => Visitor::new(runtime.tasks.waker(me)?),
        };
        visitor.rearm();
        self.remote.attend(runtime);
        let step = self.look_as(runtime, &visitor);
        visitor.goes_on(matches!(step, Ok(Step::Wait(None))), &runtime.clock);
        self.visitor = Some(visitor);
        step
    }

    fn look_as(&mut self, runtime: &mut Runtime, visitor: &Visitor) -> Result<Step> {
        loop {
            let Some(asked) = self.asked.take() else {
                if !self.remote.ready(runtime, visitor)? {
                    return Ok(Step::Wait(None));
                }
                self.remote.check(&self.name)?;
                self.asked = Some(self.ask(runtime)?);
                continue;
            };
            let asked = match self.paused.take() {
                Some((at, seen)) if runtime.clock.now() < at => {
                    self.paused = Some((at, seen));
                    self.asked = Some(asked);
                    return Ok(Step::Wait(Some(at)));
                }
                Some((_, seen)) => self.resume(asked, &seen)?,
                None => asked,
            };
            let (reports, answer) = asked.look(visitor);
            self.tell_progress(runtime, reports);
            match answer {
                None => {
                    self.asked = Some(asked);
                    return Ok(Step::Wait(None));
                }
                Some(Err(Trouble::Paused { seen, ms })) => {
                    self.paused = Some((runtime.clock.now().after_ms(ms), seen));
                    self.asked = Some(asked);
                }
                Some(answer) => {
                    if let Some(done) = self.answered(&asked, answer)? {
                        return Ok(done);
                    }
                }
            }
        }
    }

    fn resume(&self, mut asked: Asked, seen: &str) -> Result<Asked> {
        match self.remote.resume(&mut asked, seen) {
            true => Ok(asked),
            false => Err(Error::new(Code::Network, "the session ended before the answer")),
        }
    }

    fn ask(&mut self, runtime: &Runtime) -> Result<Asked> {
        self.tries += 1;
        let arguments = if self.input.is_object() { self.input.clone() } else { json!({}) };
        let reports = runtime.events.wants(Builtin::ToolProgress);
        self.remote.ask("tools/call", |id| {
            let mut params = json!({ "name": self.name, "arguments": arguments });
            if reports {
                params["_meta"] = json!({ "progressToken": id });
            }
            params
        })
    }

    /// `None`: it is to be asked once more.
    fn answered(&self, asked: &Asked, answer: Answer) -> Result<Option<Step>> {
        let again = self.tries < MOST_TRIES;
        match answer {
            Ok(result) => {
                let (value, text) = content::read(result)?;
                let (result, ms) = (Data::Json(value), 0.0);
                Ok(Some(Step::Done(Output::Tool { result, text, ms })))
            }
            Err(Trouble::Refused(refusal)) => Err(content::refused(&refusal)),
            Err(Trouble::Expired) if again => {
                self.remote.expire(asked);
                Ok(None)
            }
            Err(Trouble::Moved(location)) if again => self.remote.lead_to(&location).map(|()| None),
            Err(Trouble::Failed(error)) => Err(error),
            Err(_) => Err(Error::new(Code::BadResponse, "the server sends every call elsewhere")),
        }
    }

    fn tell_progress(&self, runtime: &mut Runtime, reports: VecDeque<Value>) {
        for report in reports {
            let mut data =
                Record::new().set("server", self.remote.label()).set("tool", self.name.as_str());
            for name in ["agent_id", "call_id"] {
                data.put(name, self.info.get(name).cloned());
            }
            for name in ["progress", "total", "message"] {
                let given = report.get(name).filter(|value| !value.is_null());
                data.put(name, given.cloned().map_or(Data::Nil, Data::Json));
            }
            runtime.events.tell(Builtin::ToolProgress, data, None);
        }
    }
}

impl Machine for Calling {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Stop(stop) => Err(stopped(&stop, "the call")),
            _ => self.look(runtime, me),
        }
    }

    fn abandon(&mut self, runtime: &mut Runtime, _: Token) {
        if let Some(visitor) = self.visitor.take() {
            self.remote.leave(&visitor);
        }
        if let Some(asked) = self.asked.take() {
            self.remote.withdraw(asked, "the call was given up");
        }
        self.remote.attend(runtime);
    }
}
