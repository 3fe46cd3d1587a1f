//! An answer that is still arriving: everything is written once, into the reply (all so far) and
//! into the delta (since somebody last looked). Every protocol writes through it, streamed or not.

use super::{Delta, Finish, Reply, ToolCall, ToolCallDelta};

pub struct Growing<'a> {
    pub reply: &'a mut Reply,
    delta: &'a mut Delta,
    /// Something came that counts as content.
    pub moved: bool,
}

/// What a piece of an answer says about a tool call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fragment<'a> {
    pub id: Option<&'a str>,
    /// The name, or a piece of it.
    pub name: Option<&'a str>,
    pub arguments: &'a str,
}

impl<'a> Growing<'a> {
    pub fn new(reply: &'a mut Reply, delta: &'a mut Delta) -> Growing<'a> {
        Growing { reply, delta, moved: false }
    }

    pub fn text(&mut self, text: &str) {
        self.reply.content.push_str(text);
        self.delta.content.push_str(text);
        self.moved |= !text.is_empty();
    }

    pub fn thinking(&mut self, text: &str) {
        self.reply.thinking.push_str(text);
        self.delta.thinking.push_str(text);
        self.moved |= !text.is_empty();
    }

    /// Adds to the tool call in `slot`; a slot behind the last one is a new call.
    pub fn call(&mut self, slot: usize, fragment: Fragment<'_>) {
        if slot >= self.reply.tool_calls.len() {
            self.reply.tool_calls.push(ToolCall::default());
        }
        let slot = slot.min(self.reply.tool_calls.len() - 1);
        let Some(call) = self.reply.tool_calls.get_mut(slot) else { return };
        let mut piece = ToolCallDelta { index: slot, ..ToolCallDelta::default() };
        if let Some(id) = fragment.id.filter(|_| call.id.is_empty()) {
            call.id = id.to_owned();
            piece.id = Some(id.to_owned());
        }
        if let Some(name) = fragment.name.filter(|name| *name != call.name) {
            call.name.push_str(name);
            piece.name = Some(name.to_owned());
        }
        call.arguments_json.push_str(fragment.arguments);
        piece.arguments = fragment.arguments.to_owned();
        self.moved = true;
        merge(self.delta, piece);
    }

    /// The facts at the head of an answer: the first word on each counts.
    pub fn facts(&mut self, id: Option<&str>, model: Option<&str>, created: Option<f64>) {
        let reply = &mut *self.reply;
        reply.id = reply.id.take().or_else(|| id.map(str::to_owned));
        reply.model = reply.model.take().or_else(|| model.map(str::to_owned));
        reply.created = reply.created.or(created);
    }

    pub fn finish(&mut self, native: &str, finish: Finish) {
        self.reply.native_finish = Some(native.to_owned());
        self.reply.finish = Some(finish);
    }

    /// The answer is complete: calls get ids of their own, and an answer that asks for tools ended
    /// because of that, whatever the server says.
    pub fn complete(&mut self, refused: bool) {
        self.identify();
        let reply = &mut *self.reply;
        let called = !reply.tool_calls.is_empty();
        reply.finish = Some(match reply.finish.unwrap_or_default() {
            _ if refused => Finish::ContentFilter,
            Finish::Stop | Finish::Unknown if called => Finish::ToolCalls,
            finish => finish,
        });
    }

    /// A result goes back to the call of its id: no call is without one, no two have the same.
    fn identify(&mut self) {
        let mut taken: Vec<String> = Vec::new();
        for call in &mut self.reply.tool_calls {
            let mut number = taken.len();
            while call.id.is_empty() || taken.contains(&call.id) {
                number += 1;
                call.id = format!("call_{number}");
            }
            taken.push(call.id.clone());
        }
    }
}

fn merge(delta: &mut Delta, piece: ToolCallDelta) {
    let Some(same) = delta.tool_calls.iter_mut().find(|call| call.index == piece.index) else {
        return delta.tool_calls.push(piece);
    };
    same.id = same.id.take().or(piece.id);
    same.name = match (same.name.take(), piece.name) {
        (Some(start), Some(rest)) => Some(start + &rest),
        (start, rest) => start.or(rest),
    };
    same.arguments.push_str(&piece.arguments);
}
