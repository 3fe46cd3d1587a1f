//! What of a conversation is sent: the newest messages that fit, never a tool result without its
//! call.

use serde_json::Value;

use crate::chat::estimate::of_message as estimate;
use crate::chat::{Message, Role, ToolCall};

/// How much of a conversation is sent.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub max_messages: usize,
    pub max_tokens: Option<u64>,
}

impl Window {
    pub fn of(memory: Option<&Value>) -> Window {
        let number = |key: &str| memory.and_then(|m| m.get(key)).and_then(Value::as_f64);
        Window {
            max_messages: number("max_messages").map_or(100, |n| n as usize),
            max_tokens: number("max_tokens").map(|n| n as u64),
        }
    }

    /// So much of it that as much again fits in.
    pub fn half(self) -> Window {
        Window {
            max_messages: self.max_messages / 2,
            max_tokens: self.max_tokens.map(|limit| limit / 2),
        }
    }

    /// What is left of it behind a message of so many tokens.
    pub fn behind(self, tokens: u64) -> Window {
        Window {
            max_messages: self.max_messages.saturating_sub(1),
            max_tokens: self.max_tokens.map(|limit| limit.saturating_sub(tokens)),
        }
    }

    /// The newest messages within the limits. The last one is always among them, and a window
    /// begins neither with a tool result nor in the middle of a round.
    pub fn newest<'m>(&self, messages: &'m [Message]) -> &'m [Message] {
        let mut start = messages.len().saturating_sub(self.max_messages);
        if let Some(limit) = self.max_tokens {
            start = start.max(first_within(messages, limit));
        }
        start = start.min(messages.len().saturating_sub(1));
        start += messages[start..].iter().position(|m| m.role != Role::Tool).unwrap_or(0);
        if messages.get(start).is_some_and(|m| m.role == Role::Tool) {
            start = round_start(messages, start).unwrap_or(start);
        }
        &messages[start..]
    }
}

fn first_within(messages: &[Message], limit: u64) -> usize {
    let mut sum = 0;
    let fits = |m: &&Message| {
        sum += estimate(m);
        sum <= limit
    };
    messages.len() - messages.iter().rev().take_while(fits).count()
}

/// The assistant message whose calls the tool message at `at` answers.
fn round_start(messages: &[Message], at: usize) -> Option<usize> {
    messages[..at].iter().rposition(|m| !m.tool_calls.is_empty())
}

/// Answers for calls that will never run: every call must have one before the next question.
pub fn not_executed(calls: &[ToolCall]) -> Vec<Message> {
    let text = crate::tool::error_text("not executed");
    calls.iter().map(|call| Message::tool_result(&call.id, text.clone())).collect()
}

/// Results stand in the order of their calls, whoever gave them and when: some protocols know them
/// by nothing else.
pub fn settle_order(messages: &mut [Message]) {
    let mut rest = messages;
    while let Some(at) = rest.iter().position(|message| !message.tool_calls.is_empty()) {
        let Some((asking, after)) = rest.split_at_mut_checked(at + 1) else { return };
        let results = after.iter().take_while(|message| message.role == Role::Tool).count();
        if let (Some(asking), Some((round, _))) =
            (asking.last(), after.split_at_mut_checked(results))
        {
            round.sort_by_key(|message| place(asking, message));
        }
        rest = after;
    }
}

fn place(asking: &Message, result: &Message) -> usize {
    let calls = || asking.tool_calls.iter().map(|call| Some(&call.id));
    calls().position(|id| id == result.tool_call_id.as_ref()).unwrap_or(usize::MAX)
}

/// A turn, to stand behind a conversation that has changed since the turn began: open calls of that
/// one get their answers, and answers to calls that are not open any more go.
pub fn behind(pending: &[ToolCall], turn: Vec<Message>) -> Vec<Message> {
    let answers = |message: &Message, call: &ToolCall| {
        message.tool_call_id.as_deref() == Some(call.id.as_str())
    };
    let results = turn.iter().take_while(|m| m.role == Role::Tool).count();
    let answered = |call: &&ToolCall| turn.iter().take(results).any(|m| answers(m, call));
    let open: Vec<_> = pending.iter().filter(|call| !answered(call)).cloned().collect();
    let mut all = not_executed(&open);
    let fits = |message: &Message| pending.iter().any(|call| answers(message, call));
    let kept = turn.into_iter().enumerate().filter(|(i, m)| *i >= results || fits(m));
    all.extend(kept.map(|(_, message)| message));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str) -> Message {
        let mut message = Message::new(Role::Assistant, "");
        message.tool_calls.push(ToolCall {
            id: id.into(),
            name: "t".into(),
            arguments_json: "{}".into(),
            whole: true,
        });
        message
    }

    fn talk() -> Vec<Message> {
        vec![
            Message::new(Role::User, "a"),
            call("1"),
            Message::tool_result("1", "r"),
            Message::new(Role::Assistant, "b"),
            Message::new(Role::User, "c"),
        ]
    }

    fn window(max_messages: usize, max_tokens: Option<u64>) -> usize {
        Window { max_messages, max_tokens }.newest(&talk()).len()
    }

    #[test]
    fn a_tool_result_is_never_separated_from_its_call() {
        assert_eq!(window(5, None), 5);
        assert_eq!(window(4, None), 4);
        assert_eq!(window(3, None), 2, "the result would stand alone, so it goes too");
        assert_eq!(window(1, None), 1);
    }

    #[test]
    fn tokens_limit_the_window_too() {
        assert_eq!(window(100, Some(1)), 1);
        assert_eq!(window(100, Some(0)), 1, "the question itself is always sent");
    }

    #[test]
    fn a_result_at_the_end_brings_its_call() {
        let talk = vec![Message::new(Role::User, "a"), call("1"), Message::tool_result("1", "r")];
        let kept = Window { max_messages: 1, max_tokens: None };
        assert_eq!(kept.newest(&talk).len(), 2);
    }

    #[test]
    fn a_summary_takes_its_place_in_the_window() {
        let window = Window { max_messages: 5, max_tokens: Some(100) };
        let behind = window.behind(30);
        assert_eq!((behind.max_messages, behind.max_tokens), (4, Some(70)));
        let half = behind.half();
        assert_eq!((half.max_messages, half.max_tokens), (2, Some(35)));
        assert_eq!(window.behind(1000).newest(&talk()).len(), 1);
    }

    #[test]
    fn a_turn_fits_behind_another_one() {
        let open = call("new").tool_calls;
        let turn = vec![
            Message::tool_result("old", "not executed"),
            Message::new(Role::User, "q"),
            call("own"),
            Message::tool_result("own", "r"),
        ];
        let fits = behind(&open, turn.clone());
        let ids: Vec<_> = fits.iter().map(|m| m.tool_call_id.as_deref()).collect();
        assert_eq!(ids, [Some("new"), None, None, Some("own")]);
        assert_eq!(behind(&call("old").tool_calls, turn.clone()), turn);
    }

    #[test]
    fn every_conversation_and_window_begins_with_no_tool_result() {
        let mut messages = Vec::new();
        for round in 0..6 {
            messages.push(Message::new(Role::User, "q"));
            messages.push(call(&format!("{round}")));
            messages.push(Message::tool_result(&format!("{round}"), "r"));
            for cut in 1..=messages.len() {
                let kept =
                    Window { max_messages: cut, max_tokens: None }.newest(&messages).to_vec();
                assert_ne!(kept[0].role, Role::Tool);
                assert!(!kept.is_empty());
            }
        }
    }
}
