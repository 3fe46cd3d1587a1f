//! A redis-server of a test's own: `spec/fixtures/redis_server.py`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

pub struct Server {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    pub port: u16,
}

impl Server {
    /// None, and the reason printed, if there can be none here.
    pub fn start(options: &[&str]) -> Option<Server> {
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/spec/fixtures/redis_server.py");
        let mut child = Command::new("python3")
            .args(["-W", "ignore", fixture])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| eprintln!("SKIP: no python3: {error}"))
            .ok()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take()?);
        let mut server = Server { child, input, output, port: 0 };
        let line = server.line();
        match line.parse() {
            Ok(port) => server.port = port,
            Err(_) => {
                eprintln!("SKIP: {line}");
                return None;
            }
        }
        Some(server)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What the server answers to a command.
    pub fn command(&mut self, words: &[&str]) -> Value {
        let line = self.say(&json!(words).to_string());
        serde_json::from_str(&line).unwrap()
    }

    pub fn kill(&mut self) {
        assert_eq!(self.say("kill"), "ok");
    }

    pub fn start_again(&mut self) {
        assert_eq!(self.say("start"), "ok");
    }

    fn say(&mut self, line: &str) -> String {
        writeln!(self.input.as_ref().unwrap(), "{line}").unwrap();
        self.line()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends when its input does, and takes the server with it.
        self.input = None;
        let _ = self.child.wait();
    }
}
