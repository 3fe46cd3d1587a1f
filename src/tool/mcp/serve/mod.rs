//! `serve_mcp`: tools of here for other programs, over standard input and output.
//!
//! Calls run side by side, each an operation of its own with its hooks and events; what needs no
//! Lua is answered on the thread that reads, so that a tool that computes keeps nobody waiting.

mod answers;
mod connection;
mod standard;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::rpc::{self, INVALID_PARAMS, Id, Message};
use crate::error::{Code, Error, Result};
use crate::net::Waker;
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::tool::{Input, ToolRun};
use crate::value::{Data, Record};
use answers::{About, Served};
use connection::Connection;

pub static SERVE: Shape = Shape::new(
    "McpServe",
    &[
        Field::new("name", Kind::Name, "\"zigllms\"", "what the server calls itself"),
        Field::new("version", Kind::Name, "the module's", "its version"),
        Field::new("title", Kind::Text, "", "the same for people"),
        Field::new(
            "instructions",
            Kind::Text,
            "",
            "how its tools are meant to be used: clients may give it to their models",
        ),
        Field::new(
            "page_size",
            Kind::Int(1, 100_000),
            "100",
            "tools in one answer to `tools/list`",
        ),
    ],
    &[],
);

/// Calls at the same time; more of them wait.
const MOST_CALLS: usize = 64;

pub struct Serve {
    served: Served,
    about: About,
    connection: Option<Arc<Connection>>,
    waker: Option<Waker>,
    /// Those that run, by the token of their operation.
    calls: HashMap<Token, Call>,
    /// The one that was begun last, whose token is not known yet.
    begun: Option<Call>,
    /// Those that wait for others to end.
    queue: VecDeque<(Call, Operation)>,
    /// What clients were told to be there.
    told: u64,
    initialized: bool,
}

/// A call of a client.
struct Call {
    id: Id,
    /// The result is an object of a known form.
    structured: bool,
    /// The client wants no answer any more.
    cancelled: bool,
}

impl Serve {
    /// `wanted` are ids or names; `None`: whatever is registered and does something.
    pub fn new(
        runtime: &Runtime,
        wanted: Option<Vec<String>>,
        options: &Options<'_>,
    ) -> Result<Serve> {
        let served = Served { wanted, page: options.number("page_size").unwrap_or(100.0) as usize };
        for key in served.wanted.iter().flatten() {
            let found = runtime.tools.usable(key)?;
            let found = found.ok_or_else(|| Error::not_found("tool", key))?;
            if found.tool.is_declared() {
                let name = &found.tool.name;
                return Err(Error::unsupported(format!(
                    "tool {name:?} has no execute function to serve"
                )));
            }
        }
        Ok(Serve {
            served,
            about: About::of(options),
            connection: None,
            waker: None,
            calls: HashMap::new(),
            begun: None,
            queue: VecDeque::new(),
            told: runtime.tools.set_changes(),
            initialized: false,
        })
    }

    pub fn operation(self) -> Operation {
        Operation::new("tool_serve", self)
    }

    fn go_on(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        if let (Some(call), Some(token)) = (self.begun.take(), runtime.tasks.newest_child(me)) {
            self.calls.insert(token, call);
        }
        let connection = self.connection(runtime, me)?;
        if let Some(waker) = &self.waker {
            waker.rearm();
        }
        let ended = runtime.tasks.take_ended(me);
        if !ended.is_empty() {
            standard::flush_buffers(); // what they have printed is seen now, and not at the end
        }
        for (token, output) in ended {
            if let Some(call) = self.calls.remove(&token).filter(|call| !call.cancelled) {
                connection.send(answers::of_call(&call.id, call.structured, output));
            }
        }
        while let Some(message) = connection.next() {
            self.heard(runtime, &connection, message);
        }
        self.tell_change(runtime, &connection);
        if self.calls.len() < MOST_CALLS
            && let Some((call, operation)) = self.queue.pop_front()
        {
            self.begun = Some(call);
            return Ok(Step::Begin(operation));
        }
        let over = connection.is_closed() && self.calls.is_empty();
        match over && connection.has_sent_all() {
            true => Ok(Step::Done(Output::Data(Data::Bool(true)))),
            false => Ok(Step::Wait(None)),
        }
    }

    fn connection(&mut self, runtime: &mut Runtime, me: Token) -> Result<Arc<Connection>> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let waker = runtime.tasks.waker(me)?;
        let connection = Connection::open(waker.clone())?;
        (self.connection, self.waker) = (Some(connection.clone()), Some(waker));
        Ok(connection)
    }

    fn heard(&mut self, runtime: &mut Runtime, connection: &Connection, message: Message) {
        match message {
            Message::Request { id, method, params } if method == "tools/call" => {
                self.call(runtime, connection, id, &params);
            }
            Message::Request { id, method, params } => {
                self.initialized |= method == "initialize";
                let answer = match method.as_str() {
                    "initialize" => rpc::result(&id, &self.about.initialize(&params)),
                    "tools/list" => self.served.list(runtime, &id, &params),
                    _ => rpc::refusal(&id, rpc::METHOD_NOT_FOUND, &format!("no method {method:?}")),
                };
                connection.send(answer);
            }
            Message::Notice { method, params } if method == "notifications/cancelled" => {
                self.cancel(runtime, &params);
            }
            _ => {}
        }
    }

    fn call(&mut self, runtime: &Runtime, connection: &Connection, id: Id, params: &Value) {
        let name = params["name"].as_str().unwrap_or_default();
        let Some(found) = self.served.find(runtime, name) else {
            return connection.send(rpc::refusal(
                &id,
                INVALID_PARAMS,
                &format!("Unknown tool: {name}"),
            ));
        };
        let arguments = match &params["arguments"] {
            Value::Null => json!({}),
            given @ Value::Object(_) => given.clone(),
            _ => {
                let why = "arguments: expected an object";
                return connection.send(rpc::refusal(&id, INVALID_PARAMS, why));
            }
        };
        let structured = answers::is_structured(&found.tool);
        let info = Record::new().set("call_id", id.plain());
        match Input::from_json(&found.tool, arguments) {
            // A model is to read what it did wrong, and to do better.
            Err(error) => connection.send(answers::of_call(&id, structured, Err(error))),
            Ok(input) => {
                let run = ToolRun::new(found.tool, found.id, input, info).for_client();
                self.queue.push_back((Call { id, structured, cancelled: false }, run.operation()));
            }
        }
    }

    /// No answer follows.
    fn cancel(&mut self, runtime: &mut Runtime, params: &Value) {
        let id = &params["requestId"];
        let waiting = self.queue.len();
        self.queue.retain(|(call, _)| call.id.value != *id);
        if self.queue.len() < waiting {
            return;
        }
        let reason = params["reason"].as_str().unwrap_or("the client has cancelled it");
        if let Some((token, call)) = self.calls.iter_mut().find(|(_, call)| call.id.value == *id) {
            call.cancelled = true;
            runtime.tasks.stop(*token, reason);
        }
    }

    fn tell_change(&mut self, runtime: &Runtime, connection: &Connection) {
        let now = runtime.tools.set_changes();
        if std::mem::replace(&mut self.told, now) != now && self.initialized {
            connection.send(rpc::notice("notifications/tools/list_changed", &Value::Null));
        }
    }

    fn close(&mut self, runtime: &mut Runtime) {
        for (token, _) in self.calls.drain() {
            runtime.abandon(token);
        }
        if let Some(connection) = self.connection.take() {
            connection.leave();
        }
    }
}

impl Machine for Serve {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        let result = match outcome {
            Outcome::Stop(stop) => Err(stopped(&stop, "serving")),
            Outcome::Start | Outcome::Ready => self.go_on(runtime, me),
            _ => Err(Error::new(Code::Internal, "a server waits for its clients only")),
        };
        if !matches!(result, Ok(Step::Wait(_) | Step::Begin(_))) {
            self.close(runtime);
        }
        result
    }

    fn abandon(&mut self, runtime: &mut Runtime, _: Token) {
        self.close(runtime);
    }
}
