//! What stands in the nodes of a flowchart, and which shape they have.

use std::fmt::Write;

use crate::workflow::definition::{Does, Looping, Made, Over, Step, Test};

/// Characters of a text that are shown.
const LONGEST: usize = 60;

/// What opens and closes the node of a step, and what such nodes look like.
pub fn shape(does: &Does) -> (&'static str, &'static str, &'static str) {
    match does {
        Does::Agent { .. } => ("{{", "}}", "agent"),
        Does::Tool { .. } => ("[[", "]]", "tool"),
        Does::Workflow { .. } => ("[/", "/]", "tool"),
        Does::Function(_) | Does::Script(_) => ("[", "]", "code"),
        Does::Delay { .. } => (">", "]", "edge"),
        _ => ("(", ")", "code"),
    }
}

/// What a step does, where that is one thing.
pub fn detail(does: &Does) -> String {
    match does {
        Does::Agent { agent, .. } => format!("agent {}", text(agent)),
        Does::Tool { tool } => format!("tool {}", text(tool)),
        Does::Workflow { workflow } => format!("workflow {}", text(workflow)),
        Does::Delay { ms, .. } => format!("wait {} ms", text(&ms.to_string())),
        Does::Emit { event, .. } => format!("emit {}", text(event)),
        other => other.name().to_owned(),
    }
}

/// How often the steps of a loop are executed.
pub fn times(looping: &Looping) -> String {
    match &looping.over {
        Over::Items(items) => format!("for each of {}", made(items)),
        Over::Count(Made::Plain(count)) => format!("{} times", text(&count.to_string())),
        Over::Count(count) => format!("{} times", made(count)),
        Over::While(test) => format!("while {}", said(test)),
        Over::Ever => format!("until {}", looping.until.as_ref().map(said).unwrap_or_default()),
    }
}

pub fn said(test: &Test) -> String {
    match test {
        Test::Says(condition) => text(&condition.text),
        Test::Called(_) => "function".to_owned(),
    }
}

pub fn made(made: &Made) -> String {
    match made {
        Made::Called(_) => "function".to_owned(),
        Made::Plain(serde_json::Value::Array(items)) => format!("{} items", items.len()),
        Made::Plain(value) | Made::Filled(value) => {
            value.as_str().map_or_else(|| text(&value.to_string()), text)
        }
    }
}

/// What people call a step, and below it what it does.
pub fn labelled(step: Option<&Step>, detail: &str) -> String {
    let Some(step) = step else { return detail.to_owned() };
    let name = text(step.title.as_deref().unwrap_or(&step.id));
    if detail.is_empty() { name } else { format!("{name}<br/>{detail}") }
}

/// A text in which nothing is syntax. Mermaid finds directives, comments, styles and Markdown also
/// inside of quotes, so that all but the plainest characters are written by their numbers.
pub fn text(text: &str) -> String {
    let mut written = String::new();
    let mut letters = false;
    for c in text.chars().take(LONGEST) {
        let harmless = c.is_alphanumeric() || c == ' ' || (letters && "_-.,!?'=()".contains(c));
        letters |= c.is_alphabetic();
        match c {
            _ if harmless => written.push(c),
            c if c.is_control() => written.push(' '),
            c => {
                let _ = write!(written, "#{};", u32::from(c));
            }
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        written.push('…');
    }
    if written.trim().is_empty() { "#160;".to_owned() } else { written }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_syntax() {
        assert_eq!(text("plain name-1"), "plain name-1");
        assert_eq!(text("a\"b\n%%{init}"), "a#34;b #37;#37;#123;init#125;");
        assert_eq!(text("1. x"), "1#46; x");
        assert_eq!(text("`x` #1; A::b"), "#96;x#96; #35;1#59; A#58;#58;b");
        assert_eq!(text(""), "#160;");
        assert_eq!(text(&"ü".repeat(100)).chars().count(), LONGEST + 1);
    }
}
