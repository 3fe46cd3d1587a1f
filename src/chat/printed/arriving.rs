//! Printed calls in answers that arrive piece by piece.

use serde_json::{Value, json};

use super::asked::asked;
use super::tests::forms;
use super::{Answering, Tools};
use crate::chat::{Delta, Finish, Reply};

/// What came out at each piece, and the reply at the end.
fn arrive<'t>(
    pieces: impl Iterator<Item = &'t str>,
    finish: Finish,
    tools: &[&str],
) -> (Vec<String>, Delta, Reply) {
    let mut answering = Answering::new(Tools::named(tools));
    let (mut reply, mut all, mut seen) = (Reply::default(), Delta::default(), Vec::new());
    for content in pieces.map(str::to_owned) {
        reply.content.push_str(&content);
        let mut out = Delta::default();
        answering.pass(&reply, Delta { content, ..Delta::default() }, &mut out);
        seen.push(out.content.clone());
        all.append(out);
    }
    reply.finish = Some(finish);
    answering.end(&mut reply, Delta::default(), &mut all);
    assert_eq!(all.content, reply.content);
    let told: Vec<_> = all.tool_calls.iter().map(|call| call.arguments.clone()).collect();
    let kept: Vec<_> = reply.tool_calls.iter().map(|call| call.arguments_json.clone()).collect();
    assert_eq!(told, kept);
    (seen, all, reply)
}

fn bytes(text: &str) -> impl Iterator<Item = &str> {
    text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()])
}

fn whole(text: &str) -> impl Iterator<Item = &str> {
    std::iter::once(text)
}

fn calls(reply: &Reply) -> Vec<(String, Value)> {
    let call = |it: &crate::chat::ToolCall| (it.name.clone(), it.arguments().unwrap());
    reply.tool_calls.iter().map(call).collect()
}

/// The same, however it is cut in two, byte for byte, and whole.
fn every_way(text: &str, finish: Finish, check: impl Fn(&Reply)) {
    let borders = text.char_indices().map(|(at, _)| at);
    for at in borders {
        check(&arrive([&text[..at], &text[at..]].into_iter(), finish, &["get_weather"]).2);
    }
    check(&arrive(bytes(text), finish, &["get_weather"]).2);
    check(&arrive(whole(text), finish, &["get_weather"]).2);
}

#[test]
fn every_form_is_read_however_it_is_cut() {
    let expected = vec![("get_weather".to_owned(), json!({"city": "Oslo", "n": 2}))];
    for form in forms() {
        for before in ["", "I look.\n", "Is 1 < 2? {x} `y`.\n\n"] {
            let text = format!("{before}{form}");
            every_way(&text, Finish::Stop, |reply| {
                assert_eq!(calls(reply), expected, "{text}");
                assert_eq!(reply.content, before.trim_end(), "{text}");
                assert_eq!(reply.finish, Some(Finish::ToolCalls));
                assert_eq!(reply.tool_calls[0].id, "call_1");
            });
        }
    }
}

#[test]
fn calls_of_tools_that_were_not_offered_stay_text() {
    for form in forms() {
        let (_, _, reply) = arrive(bytes(&form), Finish::Stop, &["other"]);
        assert_eq!((reply.content, reply.tool_calls.len()), (form, 0));
        assert_eq!(reply.finish, Some(Finish::Stop));
    }
}

#[test]
fn text_goes_out_at_once() {
    let prose = "Take x < y, or [a](b) and {c: 1}; f(t) is `code`.\n> quoted, and to be continued";
    let (seen, ..) = arrive(bytes(prose), Finish::Stop, &["get_weather"]);
    let mut late = 0;
    for (piece, out) in bytes(prose).zip(&seen) {
        late = (late + piece.len()) - out.len();
        assert!(late <= "to".len() + 1, "{late} bytes wait at {piece:?}");
    }
    let code = "See:\n```lua\nlocal t = {a = 1}\n```\nThat is it. ";
    let (seen, ..) = arrive(bytes(code), Finish::Stop, &["get_weather"]);
    assert!(seen.concat().ends_with("That is it."));
}

#[test]
fn an_example_is_no_call() {
    let call = r#"{"name": "get_weather", "arguments": {"city": "Oslo"}}"#;
    for text in [
        format!("Write\n```json\n{call}\n```\nand wait."),
        format!("Write {call} and wait."),
        format!("Write\n```\n<tool_call>{call}</tool_call>\n```\nand wait."),
        "Write\n[get_weather(city=\"Oslo\")]\nand wait.".to_owned(),
        r#"{"note": "x", "name": "get_weather", "arguments": {}}"#.to_owned(),
    ] {
        every_way(&text, Finish::Stop, |reply| {
            assert_eq!((reply.content.as_str(), reply.tool_calls.len()), (text.as_str(), 0));
        });
    }
}

#[test]
fn several_calls_come_in_order() {
    let call = |n: u8| format!(r#"{{"name": "get_weather", "arguments": {{"n": {n}}}}}"#);
    for text in [
        format!("Both.\n{}; {}", call(1), call(2)),
        format!("Both.\n```json\n{}\n```\n```json\n{}\n```", call(1), call(2)),
        format!("Both.\n<tool_call>{}</tool_call>\n<tool_call>{}</tool_call>", call(1), call(2)),
    ] {
        every_way(&text, Finish::Stop, |reply| {
            let numbers: Vec<_> = calls(reply).iter().map(|(_, it)| it["n"].clone()).collect();
            assert_eq!(numbers, [1, 2], "{text}");
            assert_eq!(reply.content, "Both.");
        });
    }
}

#[test]
fn a_call_that_was_cut_off_is_none() {
    let call = r#"<tool_call>{"name": "get_weather", "arguments": {"city": "Os"#;
    every_way(call, Finish::Length, |reply| {
        assert_eq!((reply.content.as_str(), reply.tool_calls.len()), (call, 0));
        assert_eq!(reply.finish, Some(Finish::Length));
    });
    let two = format!("<tool_call>{{\"name\": \"get_weather\"}}</tool_call>{call}");
    every_way(&two, Finish::Length, |reply| {
        assert_eq!(reply.tool_calls.len(), 1);
        assert_eq!(reply.finish, Some(Finish::Length));
    });
}

#[test]
fn calls_of_the_server_leave_the_text_alone() {
    let mut answering = Answering::new(Tools::named(&["f"]));
    let text = "<tool_call>{\"name\": \"f\"}</tool_call>";
    let mut reply = Reply { content: text.to_owned(), ..Reply::default() };
    let mut out = Delta::default();
    let piece = |content: &str| Delta { content: content.to_owned(), ..Delta::default() };
    answering.pass(&reply, piece(text), &mut out);
    assert_eq!(out.content, "");
    reply.tool_calls.push(crate::chat::ToolCall::default());
    answering.end(&mut reply, Delta::default(), &mut out);
    assert_eq!((out.content.as_str(), reply.tool_calls.len()), (text, 1));
}

#[test]
fn a_long_call_costs_time_in_proportion() {
    let long = "x".repeat(200_000);
    let text = format!(r#"{{"name": "f", "arguments": {{"a": "{long}"}}}}"#);
    let (seen, _, reply) = arrive(bytes(&text), Finish::Stop, &["f"]);
    assert_eq!((reply.tool_calls.len(), seen.concat().len()), (1, 0));
}

/// Pieces of calls and prose in any order: however the text arrives, the answer is the same.
#[test]
fn the_answer_does_not_depend_on_how_it_was_cut() {
    const PARTS: &[&str] = &[
        "<tool_call>",
        "</tool_call>",
        "{\"name\": \"f\", ",
        "\"arguments\": {\"a\": 1}}",
        "{\"name\": \"f\", \"arguments\": {}}",
        "```json\n",
        "```",
        "```python\n",
        "```\n",
        "[f(a=1)]",
        "[TOOL_CALLS]",
        "f",
        "{",
        "[",
        "}",
        "]",
        "\n",
        " ",
        ";",
        "to=functions.",
        "Action: f\n",
        "Action Input: {}",
        ">>>f\n",
        "words ",
        "<",
        "`",
        "é",
        "<function=f>",
        "(x=1)",
        "\"",
    ];
    let mut state = 1u64;
    let mut random = |n: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % n
    };
    let mut early = 0;
    for _ in 0..4000 {
        let text: String = (0..1 + random(9)).map(|_| PARTS[random(PARTS.len())]).collect();
        let (_, _, at_once) = arrive(whole(&text), Finish::Stop, &["f"]);
        let (_, _, one_by_one) = arrive(bytes(&text), Finish::Stop, &["f"]);
        assert_eq!(at_once, one_by_one, "{text}");
        let never_sent = asked(&text, &Tools::named(&["f"]), 0, false);
        let found = never_sent.map_or(0, |(calls, _)| calls.len());
        early += usize::from(at_once.tool_calls.len() != found);
    } // JSON torn by a tag in its middle is read in one way with its end, and in another without.
    assert!(early <= 4, "of {early} texts a call was sent before it was known");
}
