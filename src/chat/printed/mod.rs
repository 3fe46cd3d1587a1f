//! Tool calls that a model printed as text, because neither it nor its server has a format of their
//! own for them.
//!
//! ```
//! use zigllms::chat::printed::{Tools, extract};
//! let text = "Let me look.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>";
//! let printed = extract(text, &Tools::any());
//! assert_eq!(printed.calls[0].name, "weather");
//! assert_eq!(printed.calls[0].arguments["city"], "Oslo");
//! assert_eq!(printed.rest, "Let me look.");
//! ```
//!
//! | form | of | file |
//! |---|---|---|
//! | `<tool_call>{…}</tool_call>`, also never closed; `<function_call>`, `<tool_calls>`, `<function>` | Hermes, Qwen | `tags.rs` |
//! | `<\|tool_call\|>…<\|/tool_call\|>`, `<\|tool_call_start\|>[f(x=1)]<\|tool_call_end\|>` | Granite, Phi, LFM2 | `tags.rs` |
//! | `<tool_call>name<arg_key>k</arg_key><arg_value>v</arg_value></tool_call>` | GLM | `tags.rs` |
//! | `<function=name>{…}</function>` | Llama 3, Functionary 3.1 | `tags.rs` |
//! | `<function=name><parameter=k>v</parameter></function>` | Qwen3-Coder | `tags.rs` |
//! | `<invoke name="f"><parameter name="k">v</parameter></invoke>`, in `<function_calls>` or not | Anthropic-like | `tags.rs` |
//! | `[TOOL_CALLS][{…}]`, `[TOOL_CALLS]name[ARGS]{…}`, `[TOOL_CALLS]name{…}` | Mistral | `marks.rs` |
//! | `<\|python_tag\|>{…}; {…}`, `<\|python_tag\|>f(x=1)` | Llama 3 | `marks.rs` |
//! | `<｜tool▁call▁begin｜>function<｜tool▁sep｜>name` and fenced JSON, or `name<｜tool▁sep｜>{…}` | DeepSeek | `marks.rs` |
//! | `<\|tool_call_begin\|>functions.f:0<\|tool_call_argument_begin\|>{…}` | Kimi | `marks.rs` |
//! | `<\|START_ACTION\|>[{…}]<\|END_ACTION\|>`, `functools[{…}]` | Cohere, Phi, FireFunction | `marks.rs` |
//! | `to=functions.f … <\|message\|>{…}` | GPT-OSS (harmony) | `marks.rs` |
//! | `<\|recipient\|>f … <\|content\|>{…}`, `>>>f` and JSON | Functionary 2, 3 | `marks.rs` |
//! | `Action: f` and `Action Input: {…}`; `Action:` and fenced JSON | ReAct, Cohere | `lines.rs` |
//! | a `tool_code` or `tool_call` fence | Gemma | `lines.rs` |
//! | a fence of JSON that is nothing but calls | many | `lines.rs` |
//! | `[f(x=1), g()]`, alone on its lines | Llama 3.2, 4; Gorilla | `lines.rs` |
//! | bare `{"name": …, "parameters" or "arguments": …}`, or an array of them | Llama 3 | `lines.rs` |
//!
//! In answers that still arrive `hold.rs` says what can be delivered, `asked.rs` which calls are
//! meant and which an example, and `answering.rs` puts both together.
//!
//! Arguments are read by the recovering reader of [`crate::value::repair`]; JSON text inside of a
//! string is read too. Where tools are given, only calls of these are taken, and everything else
//! stays in the rest. Where none are, a bare object must have a name and arguments and little else.

mod answering;
mod asked;
mod hold;
mod lines;
mod marks;
mod shape;
mod tags;

#[cfg(test)]
mod arriving;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use answering::Answering;

use super::ToolSpec;
use crate::value::Tape;
use crate::value::repair::{Level, Options, value_at_start};

/// A call, and the bytes of the text it was printed in.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub name: String,
    pub arguments: Value,
    pub start: usize,
    pub stop: usize,
}

#[derive(Clone, Debug, Default)]
pub struct Printed {
    pub calls: Vec<Call>,
    /// The text without the calls.
    pub rest: String,
}

/// A tool that may be called: its name, and its parameters in the order they were declared.
#[derive(Clone, Debug, Default)]
pub struct Tool {
    pub name: String,
    pub parameters: Vec<String>,
}

/// What may be called.
#[derive(Clone, Debug, Default)]
pub struct Tools(Option<Vec<Tool>>);

impl Tools {
    /// Whatever is printed as a call.
    pub fn any() -> Tools {
        Tools(None)
    }

    pub fn only(tools: Vec<Tool>) -> Tools {
        Tools(Some(tools))
    }

    /// Those that a model was offered.
    pub fn offered(tools: &[ToolSpec]) -> Tools {
        let keys = |schema: &Value| {
            let properties = schema.get("properties").and_then(Value::as_object);
            properties.map(|it| it.keys().cloned().collect()).unwrap_or_default()
        };
        let tool = |it: &ToolSpec| Tool { name: it.name.clone(), parameters: keys(&it.parameters) };
        Tools::only(tools.iter().map(tool).collect())
    }

    pub fn named(names: &[&str]) -> Tools {
        let tool = |name: &&str| Tool { name: (*name).to_owned(), parameters: Vec::new() };
        Tools::only(names.iter().map(tool).collect())
    }

    fn given(&self) -> bool {
        self.0.is_some()
    }

    /// The name as it is known, or `None` if there is no such tool.
    fn find(&self, name: &str) -> Option<String> {
        let name = name.trim().trim_matches(['"', '\'', '`', '*']);
        let short = name.strip_prefix("functions.").unwrap_or(name);
        let Some(tools) = &self.0 else {
            return is_name(short).then(|| short.to_owned());
        };
        let known = |name: &str| tools.iter().any(|tool| tool.name == name);
        [name, short].into_iter().find(|name| known(name)).map(str::to_owned)
    }

    /// Whether the name of a tool may begin so.
    fn may_begin(&self, start: &str) -> bool {
        let Some(tools) = &self.0 else { return true };
        let short = start.strip_prefix("functions.").unwrap_or(start);
        "functions.".starts_with(start) || tools.iter().any(|tool| tool.name.starts_with(short))
    }

    fn parameters(&self, name: &str) -> &[String] {
        let tools = self.0.as_deref().unwrap_or_default();
        let tool = tools.iter().find(|tool| tool.name == name);
        tool.map_or(&[], |tool| &tool.parameters)
    }
}

fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':');
    !name.is_empty() && name.len() <= 128 && name.chars().all(inner)
}

/// The calls in a text, in the order they were printed.
pub fn extract(text: &str, tools: &Tools) -> Printed {
    let mut scan = Scan::new(text, tools);
    scan.find();
    scan.finish()
}

/// The text, and what has been taken out of it.
struct Scan<'t> {
    text: &'t str,
    tools: &'t Tools,
    /// Parts that are calls, in order.
    taken: Vec<(usize, usize)>,
    calls: Vec<Call>,
    /// What is being looked for has no marks of its own.
    loose: bool,
    /// Where calls without marks begin.
    unmarked: Vec<usize>,
    /// Bytes that may still be read, so that many beginnings without ends stay cheap.
    fuel: usize,
}

impl<'t> Scan<'t> {
    fn new(text: &'t str, tools: &'t Tools) -> Scan<'t> {
        let (taken, calls, unmarked) = (Vec::new(), Vec::new(), Vec::new());
        Scan { text, tools, taken, calls, loose: false, unmarked, fuel: 16 * text.len() }
    }

    fn find(&mut self) {
        tags::find(self);
        marks::find(self);
        lines::find(self);
    }

    fn is_taken(&self, at: usize) -> bool {
        let n = self.taken.partition_point(|(start, _)| *start <= at);
        n > 0 && self.taken.get(n - 1).is_some_and(|(_, stop)| at < *stop)
    }

    /// The beginning of what was taken behind `at`, or the end of the text.
    fn free_until(&self, at: usize) -> usize {
        let n = self.taken.partition_point(|(start, _)| *start < at);
        self.taken.get(n).map_or(self.text.len(), |(start, _)| *start)
    }

    fn from(&self, at: usize) -> &'t str {
        self.text.get(at..).unwrap_or_default()
    }

    fn part(&self, from: usize, to: usize) -> &'t str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// Takes a part of the text out as these calls; `false`, and nothing happens, without any, or
    /// if one of them is of no tool.
    fn take(&mut self, start: usize, stop: usize, calls: Vec<(String, Value)>) -> bool {
        let known = |(name, arguments): (String, Value)| {
            let name = self.tools.find(&name)?;
            let arguments = shape::arguments(arguments, self.tools.parameters(&name));
            Some(Call { name, arguments, start, stop })
        };
        let Some(calls) = calls.into_iter().map(known).collect::<Option<Vec<_>>>() else {
            return false;
        };
        if calls.is_empty() || self.is_taken(start) {
            return false;
        }
        self.calls.extend(calls);
        self.claim(start, stop);
        if self.loose {
            self.unmarked.push(start);
        }
        true
    }

    fn claim(&mut self, start: usize, stop: usize) {
        let n = self.taken.partition_point(|(from, _)| *from < start);
        self.taken.insert(n, (start, stop));
    }

    /// At most so many bytes from a place on.
    fn near(&self, at: usize, len: usize) -> &'t str {
        let mut to = (at + len).min(self.text.len());
        while !self.text.is_char_boundary(to) {
            to -= 1;
        }
        self.part(at, to)
    }

    /// The JSON value that begins at a place; gives where it ends. What is looked at grows with
    /// the value, so that many small ones in a long text stay cheap.
    fn value(&mut self, at: usize, end: usize) -> Option<(Value, usize)> {
        const FIRST: usize = 4096;
        let options = Options::document(Level::BestEffort);
        let mut len = FIRST;
        while self.fuel > 0 {
            let part = self.near(at, len.min(end.saturating_sub(at)));
            let whole = at + part.len() >= end.min(self.text.len());
            self.fuel = self.fuel.saturating_sub(part.len());
            let mut tape = Tape::default();
            let (root, stop) = value_at_start(part.as_bytes(), &options, &mut tape)?;
            if whole || stop < part.len() {
                return Some((tape.at(root)?.to_json(), at + stop));
            }
            len *= 8;
        }
        None
    }

    fn finish(mut self) -> Printed {
        self.calls.sort_by_key(|call| call.start);
        let mut rest = String::new();
        let mut at = 0;
        for (start, stop) in &self.taken {
            if *start >= at {
                join(&mut rest, self.part(at, *start));
                at = *stop;
            }
        }
        join(&mut rest, self.from(at));
        Printed { calls: self.calls, rest: rest.trim().to_owned() }
    }
}

/// Adds a part of the rest. The line breaks that stood around a call become one.
fn join(rest: &mut String, part: &str) {
    if part.trim().is_empty() {
        return;
    }
    if rest.is_empty() {
        rest.push_str(part);
        return;
    }
    let lines = rest.ends_with('\n') || part.starts_with('\n');
    rest.truncate(rest.trim_end().len());
    rest.push_str(if lines { "\n" } else { " " });
    rest.push_str(part.trim_start());
}
