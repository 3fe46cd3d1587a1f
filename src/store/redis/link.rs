//! The connection to a server: made when needed, made again when it broke.

use std::time::Duration;
use std::{fs, io};

use ::redis::{Client, Cmd, Connection, TlsCertificates, Value};

use super::address::Address;
use super::failure::{self, Failure};
use super::record::Names;
use crate::clock::Clock;
use crate::error::Result;

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

type Answer<T> = std::result::Result<T, Failure>;

#[derive(Clone, Copy)]
pub enum Script {
    Commit,
    Scan,
}

impl Script {
    fn text(self) -> &'static str {
        match self {
            Script::Commit => include_str!("commit.lua"),
            Script::Scan => include_str!("scan.lua"),
        }
    }
}

/// The names by which the server knows the scripts.
#[derive(Default)]
struct Scripts {
    commit: String,
    scan: String,
}

pub struct Link {
    address: Address,
    names: Names,
    clock: Clock,
    answer_within: Duration,
    connection: Option<Connection>,
    scripts: Scripts,
}

impl Link {
    pub fn connect(address: Address) -> Result<Link> {
        let mut link = Link {
            names: Names::new(address.prefix()),
            address,
            clock: Clock::default(),
            answer_within: ANSWER,
            connection: None,
            scripts: Scripts::default(),
        };
        link.examine()?;
        Ok(link)
    }

    pub fn shown(&self) -> &str {
        self.address.shown()
    }

    pub fn names(&self) -> &Names {
        &self.names
    }

    #[cfg(test)]
    pub fn set_patience(&mut self, patience: Duration) {
        self.answer_within = patience;
        self.connection = None;
    }

    /// The call of a script; its arguments follow.
    pub fn script(&self, script: Script, key: &str) -> Cmd {
        let name = match script {
            Script::Commit => &self.scripts.commit,
            Script::Scan => &self.scripts.scan,
        };
        let mut call = ::redis::cmd("EVALSHA");
        call.arg(name).arg(1).arg(key);
        call
    }

    /// The answer to a question. A server that is busy or loads its data is asked again for as
    /// long as an answer may take.
    pub fn ask(&mut self, question: impl Fn(&Link) -> Cmd) -> Answer<Value> {
        let end = self.clock.now().after(self.answer_within);
        loop {
            match self.persistently(&question) {
                Err(failure) if failure.may_pass() && self.clock.now() < end => {
                    std::thread::park_timeout(PAUSE);
                }
                answer => return answer,
            }
        }
    }

    /// Asks again, once, on a new connection if an old one turns out to be broken. So a question
    /// must be one that may be heard twice.
    fn persistently(&mut self, question: impl Fn(&Link) -> Cmd) -> Answer<Value> {
        let old = self.connection.is_some();
        match self.once(&question) {
            Err(failure) if old && failure.is_broken() => {
                let again = self.once(&question);
                again.map_err(|failure| Failure { heard: !failure.is_answer(), ..failure })
            }
            Err(failure) if failure.lacks_script() => {
                self.connection = None;
                self.once(&question)
            }
            answer => answer,
        }
    }

    fn once(&mut self, question: impl Fn(&Link) -> Cmd) -> Answer<Value> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.open()?,
        };
        let answer = send(&mut connection, &question(self));
        if answer.as_ref().err().is_none_or(Failure::leaves_connection) {
            self.connection = Some(connection);
        }
        answer
    }

    fn open(&mut self) -> Answer<Connection> {
        let mut connection = dial(&self.address).map_err(Failure::connecting)?;
        connection.set_read_timeout(Some(self.answer_within)).map_err(Failure::connecting)?;
        connection.set_write_timeout(Some(self.answer_within)).map_err(Failure::connecting)?;
        self.scripts.commit = load(&mut connection, Script::Commit)?;
        self.scripts.scan = load(&mut connection, Script::Scan)?;
        Ok(connection)
    }

    /// Whether what is there is ours, and kept.
    fn examine(&mut self) -> Result<()> {
        let asked = self.ask(|link| {
            let mut get = ::redis::cmd("HGET");
            get.arg(link.names.store()).arg("format");
            get
        });
        let format = asked.map_err(|failure| failure.error(self.shown()))?;
        match format {
            Value::BulkString(format) if format != b"1" => {
                let format = String::from_utf8_lossy(&format).into_owned();
                return Err(failure::newer(self.shown(), &format));
            }
            _ => {}
        }
        match self.evicts() {
            None => Ok(()),
            Some(policy) => Err(failure::io(
                self.shown(),
                "evicts",
                &format!(
                    "the server drops any data when its memory is full (maxmemory-policy {policy}); \
                     a store needs noeviction or one of volatile-*"
                ),
            )),
        }
    }

    /// The policy, if the server may drop what has no expiry. One that does not tell is believed.
    fn evicts(&mut self) -> Option<String> {
        let asked = self.ask(|_| {
            let mut info = ::redis::cmd("INFO");
            info.arg("memory");
            info
        });
        let Ok(Value::BulkString(text)) = asked else { return None };
        let text = String::from_utf8_lossy(&text).into_owned();
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let limited = field("maxmemory:").is_some_and(|bytes| bytes.trim() != "0");
        let policy = field("maxmemory_policy:")?.trim();
        (limited && policy.starts_with("allkeys")).then(|| policy.to_owned())
    }
}

/// A new connection, logged in.
pub fn dial(address: &Address) -> ::redis::RedisResult<Connection> {
    let info = address.info();
    let client = match address.ca() {
        None => Client::open(info)?,
        Some(path) => {
            let authority = fs::read(path)
                .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?;
            let certificates = TlsCertificates { client_tls: None, root_cert: Some(authority) };
            Client::build_with_tls(info, certificates)?
        }
    };
    client.get_connection_with_timeout(CONNECT)
}

fn send(connection: &mut Connection, question: &Cmd) -> Answer<Value> {
    question.query::<Value>(connection).map_err(Failure::asking)
}

fn load(connection: &mut Connection, script: Script) -> Answer<String> {
    ::redis::cmd("SCRIPT")
        .arg("LOAD")
        .arg(script.text())
        .query::<String>(connection)
        .map_err(Failure::connecting)
}
