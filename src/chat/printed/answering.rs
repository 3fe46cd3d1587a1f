//! An answer that may hold printed calls while it arrives: what can be no part of one goes out at
//! once, the rest when that is decided.

use super::asked::asked;
use super::hold::decided;
use super::{Call, Tools};
use crate::chat::{Delta, Finish, Reply, ToolCall, ToolCallDelta};

pub struct Answering {
    tools: Tools,
    /// Bytes of the content that are out.
    sent: usize,
    /// Length of the content when it was last looked at.
    looked: usize,
    /// A mark has come that only calls have: all behind it waits for the end.
    marked: bool,
}

impl Answering {
    pub fn new(tools: Tools) -> Answering {
        Answering { tools, sent: 0, looked: 0, marked: false }
    }

    /// Passes on what `piece`, which `reply` holds already, has decided.
    pub fn pass(&mut self, reply: &Reply, piece: Delta, out: &mut Delta) {
        out.append(Delta { content: String::new(), ..piece });
        if !reply.tool_calls.is_empty() {
            self.send(&reply.content, reply.content.len(), out);
        } else if self.is_due(reply.content.len()) {
            let text = &reply.content;
            let (upto, marked) = decided(text, self.sent, &self.tools);
            (self.looked, self.marked) = (text.len(), marked);
            self.send(text, upto, out);
        }
    }

    /// The answer is complete: what was printed becomes calls.
    pub fn end(&mut self, reply: &mut Reply, piece: Delta, out: &mut Delta) {
        self.pass(reply, piece, out);
        let cut = reply.finish == Some(Finish::Length);
        let readable = !matches!(reply.finish, Some(Finish::ContentFilter | Finish::Cancelled));
        if self.sent < reply.content.len()
            && reply.tool_calls.is_empty()
            && readable
            && let Some((calls, rest)) = asked(&reply.content, &self.tools, self.sent, cut)
        {
            reply.content = rest;
            tell(calls, reply, out);
        }
        self.send(&reply.content, reply.content.len(), out);
    }

    /// What is held back is looked at again when it has grown by an eighth, so that a long call
    /// costs time in proportion to its length.
    fn is_due(&self, length: usize) -> bool {
        !self.marked && length >= self.looked + (self.looked - self.sent.min(self.looked)) / 8
    }

    fn send(&mut self, text: &str, upto: usize, out: &mut Delta) {
        if let Some(piece) = text.get(self.sent..upto) {
            out.content.push_str(piece);
            self.sent = upto;
        }
    }
}

fn tell(calls: Vec<Call>, reply: &mut Reply, out: &mut Delta) {
    for (index, call) in calls.into_iter().enumerate() {
        let (id, arguments) = (format!("call_{}", index + 1), call.arguments.to_string());
        out.tool_calls.push(ToolCallDelta {
            index,
            id: Some(id.clone()),
            name: Some(call.name.clone()),
            arguments: arguments.clone(),
        });
        let (name, arguments_json) = (call.name, arguments);
        reply.tool_calls.push(ToolCall { id, name, arguments_json, whole: true });
    }
    if matches!(reply.finish, None | Some(Finish::Stop | Finish::Unknown)) {
        reply.finish = Some(Finish::ToolCalls);
    }
}
