//! A request, and what a script answers to it.

use serde_json::Value;

use super::asked::Asked;
use super::said::{Call, Said};
use super::stream::pieces;
use super::vendor::Vendor;
use crate::chat::{Usage, estimate};

#[derive(Debug)]
pub struct Talk<'a> {
    pub asked: &'a Asked<'a>,
    pub said: &'a Said,
    /// With ids.
    pub calls: Vec<Called<'a>>,
    pub usage: Usage,
    /// The vendor's word for how it ends.
    pub finish: &'static str,
    streamed: bool,
}

/// A tool call as it is sent.
#[derive(Clone, Debug)]
pub struct Called<'a> {
    pub id: String,
    pub name: &'a str,
    pub arguments: &'a str,
}

impl Called<'_> {
    /// The arguments as a document, for vendors that send one.
    pub fn input(&self) -> Value {
        serde_json::from_str(self.arguments).unwrap_or_else(|_| self.arguments.into())
    }
}

impl<'a> Talk<'a> {
    pub fn of(vendor: &dyn Vendor, asked: &'a Asked<'a>, said: &'a Said) -> Talk<'a> {
        let prefix = vendor.call_prefix();
        let made_up = |i: usize| format!("{prefix}_mock_{}_{}", asked.number, i + 1);
        let called = |(i, call): (usize, &'a Call)| Called {
            id: call.id.clone().unwrap_or_else(|| made_up(i)),
            name: &call.name,
            arguments: &call.arguments,
        };
        let calls: Vec<_> = said.calls.iter().enumerate().map(called).collect();
        let default = if calls.is_empty() { "stop" } else { "tool_calls" };
        Talk {
            usage: said.usage.or(asked.tokens(), said_tokens(said)),
            finish: vendor.finish(said.finish.unwrap_or(default)),
            streamed: asked.stream().unwrap_or(vendor.streams_unasked()),
            calls,
            asked,
            said,
        }
    }

    pub fn is_streamed(&self) -> bool {
        self.streamed
    }

    pub fn says_something(&self) -> bool {
        !self.content().is_empty() || !self.thinking().is_empty() || !self.calls.is_empty()
    }

    pub fn content(&self) -> &'a str {
        self.said.content.as_deref().unwrap_or_default()
    }

    /// The content as it is streamed.
    pub fn pieces(&self) -> Vec<&'a str> {
        match &self.said.pieces[..] {
            [] => pieces(self.content()).collect(),
            given => given.iter().map(String::as_str).collect(),
        }
    }

    pub fn thinking(&self) -> &'a str {
        self.said.thinking.as_deref().unwrap_or_default()
    }

    pub fn model(&self) -> &str {
        self.asked.model()
    }
}

fn said_tokens(said: &Said) -> u64 {
    let calls: usize = said.calls.iter().map(|call| call.name.len() + call.arguments.len()).sum();
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    estimate::of_bytes(text(&said.content) + text(&said.thinking) + calls).max(1)
}
