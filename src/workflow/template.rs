//! Texts with holes: `Hello {{input.name | default("you")}}`.
//!
//! A hole is a path, whose first name is one of the roots of an execution, and filters. What is put
//! in is never looked at again: a model that writes `{{…}}` has written just that. A template is a
//! list of parts; who has the values puts them together.
//!
//! ```
//! use zigllms::workflow::Template;
//! assert_eq!(Template::parse("a {{steps.one.output[1]}} b").unwrap().holes().count(), 1);
//! assert!(Template::parse("{{input").is_err());
//! ```

use serde_json::Value;

use crate::value::Key;
use crate::value::path::Path;

#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    pub parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Text(String),
    Hole(Hole),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Hole {
    /// As it is written between the braces, for messages.
    pub source: String,
    pub path: Path,
    pub filters: Vec<Filter>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Compact JSON, also of a string.
    Json,
    Trim,
    /// Stands where the path leads to nothing.
    Default(Value),
}

impl Hole {
    /// The steps of its path, by the names that things have there: `step` is `steps`, `vars` is
    /// `variables`, and `result` of a step is its `output`.
    pub fn steps(&self) -> Vec<Key> {
        let mut steps = self.path.steps.clone();
        let root = match steps.first() {
            Some(Key::Name(root)) => root.clone(),
            _ => String::new(),
        };
        let (root, output) = match root.as_str() {
            "step" | "steps" => ("steps", 2),
            "vars" => ("variables", usize::MAX),
            "previous" => ("previous", 1),
            other => (other, usize::MAX),
        };
        if let Some(Key::Name(name)) = steps.first_mut() {
            *name = root.to_owned();
        }
        if let Some(Key::Name(name)) = steps.get_mut(output).filter(|key| is_result(key)) {
            *name = "output".to_owned();
        }
        steps
    }
}

fn is_result(key: &Key) -> bool {
    matches!(key, Key::Name(name) if name == "result")
}

/// Whether a text has anything to put in; one that has not need not be parsed.
pub fn is_template(text: &str) -> bool {
    text.contains("{{")
}

impl Template {
    /// The parts of a text; else what is wrong with it.
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut parts = Parts::default();
        let mut rest = text;
        while let Some((before, inner)) = rest.split_once("{{") {
            match before.strip_suffix('\\') {
                Some(before) => {
                    parts.text(before);
                    parts.text("{{");
                    rest = inner;
                }
                None => {
                    parts.text(before);
                    let (hole, behind) = hole(inner)?;
                    parts.done.push(Part::Hole(hole));
                    rest = behind;
                }
            }
        }
        parts.text(rest);
        Ok(Template { parts: parts.done })
    }

    /// The hole that the text is, whole: then its value keeps its type.
    pub fn whole(&self) -> Option<&Hole> {
        match self.parts.as_slice() {
            [Part::Hole(hole)] => Some(hole),
            _ => None,
        }
    }

    pub fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.parts.iter().filter_map(|part| match part {
            Part::Hole(hole) => Some(hole),
            Part::Text(_) => None,
        })
    }
}

#[derive(Default)]
struct Parts {
    done: Vec<Part>,
}

impl Parts {
    fn text(&mut self, more: &str) {
        match self.done.last_mut() {
            _ if more.is_empty() => {}
            Some(Part::Text(text)) => text.push_str(more),
            _ => self.done.push(Part::Text(more.to_owned())),
        }
    }
}

/// A hole whose opening braces were read, and what comes behind it.
pub(super) fn hole(text: &str) -> Result<(Hole, &str), String> {
    let place = || excerpt(text);
    let end = path_end(text).ok_or_else(|| format!("\"{{{{{}\" has no closing braces", place()))?;
    let (written, mut rest) = text.split_at(end);
    let wrong = |why: String| format!("\"{{{{{}\": {why}", place());
    let path = Path::parse(written.trim()).map_err(wrong)?;
    begins_with_word(&path).map_err(wrong)?;
    let mut filters = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(behind) = rest.strip_prefix("}}") {
            let source = text.get(..text.len() - rest.len()).unwrap_or_default().trim().to_owned();
            return Ok((Hole { source, path, filters }, behind));
        }
        let inner = rest.strip_prefix('|').ok_or_else(|| {
            format!("\"{{{{{}\": expected \"|\" or \"}}}}\" at {:?}", place(), excerpt(rest))
        })?;
        let (filter, behind) = filter(inner.trim_start())?;
        filters.push(filter);
        rest = behind;
    }
}

/// Roots are words, so that nothing that looks like a call is taken for a path.
fn begins_with_word(path: &Path) -> Result<(), String> {
    let Some(Key::Name(root)) = path.steps.first() else { return Ok(()) };
    match root.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
        true => Ok(()),
        false => Err(format!("{root:?} is no root: templates have paths and filters, no calls")),
    }
}

/// Where a path ends: at a blank, a bar or closing braces, outside of a name in quotes.
fn path_end(text: &str) -> Option<usize> {
    let start = text.len() - text.trim_start().len();
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices().skip_while(|(at, _)| *at < start) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '|' => return Some(at),
            c if c.is_whitespace() => return Some(at),
            '}' if text.get(at..).is_some_and(|rest| rest.starts_with("}}")) => return Some(at),
            _ => {}
        }
    }
    None
}

fn filter(text: &str) -> Result<(Filter, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    match name {
        "json" => Ok((Filter::Json, rest)),
        "trim" => Ok((Filter::Trim, rest)),
        "default" => default(rest),
        _ => Err(format!(
            "no filter is named {:?}: there are json, default(…) and trim",
            excerpt(if name.is_empty() { text } else { name })
        )),
    }
}

fn default(text: &str) -> Result<(Filter, &str), String> {
    let wrong =
        || "expected default(…) with a literal: a text in quotes, a number, true, false or nil";
    let inner = text.trim_start().strip_prefix('(').ok_or_else(wrong)?;
    let (value, rest) = literal(inner.trim_start()).ok_or_else(wrong)?;
    let rest = rest.trim_start().strip_prefix(')').ok_or_else(wrong)?;
    Ok((Filter::Default(value), rest))
}

/// A literal and what comes behind it: as in JSON, also texts in single quotes and `nil`.
pub(super) fn literal(text: &str) -> Option<(Value, &str)> {
    match text.chars().next()? {
        '\'' => single_quoted(text.get(1..)?),
        '"' | '[' | '{' => {
            let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
            let value = values.next()?.ok()?;
            Some((value, text.get(values.byte_offset()..)?))
        }
        _ => word(text),
    }
}

/// A number, `true`, `false`, `nil` or `null`.
fn word(text: &str) -> Option<(Value, &str)> {
    let inside = |c: char| c.is_alphanumeric() || "+-._".contains(c);
    let end = text.find(|c| !inside(c)).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let value = if word == "nil" { Value::Null } else { serde_json::from_str(word).ok()? };
    Some((value, rest))
}

/// The rest of a text in single quotes; a backslash takes the next character as it is.
fn single_quoted(inner: &str) -> Option<(Value, &str)> {
    let mut value = String::new();
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => return Some((Value::String(value), inner.get(at + 1..)?)),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

fn excerpt(text: &str) -> String {
    text.chars().take(30).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(text: &str) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Hole(hole) => format!("<{}>", hole.source),
        };
        Template::parse(text).unwrap().parts.iter().map(part).collect()
    }

    fn filters(text: &str) -> Vec<Filter> {
        Template::parse(text).unwrap().whole().unwrap().filters.clone()
    }

    #[test]
    fn texts_and_holes_stand_in_order() {
        assert_eq!(
            shown("a {{ input.x }} b {{steps.s.output[2]}}"),
            "a <input.x> b <steps.s.output[2]>"
        );
        assert_eq!(shown("no holes }} here { {"), "no holes }} here { {");
        assert_eq!(shown(r"\{{input}} {{input}}"), "{{input}} <input>");
        assert_eq!(shown(r#"{{input["a }} | b"]}}"#), r#"<input["a }} | b"]>"#);
    }

    #[test]
    fn one_hole_alone_keeps_its_type() {
        assert!(Template::parse("{{input}}").unwrap().whole().is_some());
        assert!(Template::parse(" {{input}}").unwrap().whole().is_none());
        assert!(Template::parse("{{input}}{{input}}").unwrap().whole().is_none());
    }

    #[test]
    fn filters_follow_bars() {
        assert_eq!(filters("{{input|json}}"), [Filter::Json]);
        assert_eq!(filters("{{input | trim|json }}"), [Filter::Trim, Filter::Json]);
        for (text, value) in [
            ("\"x}}|\"", json!("x}}|")),
            ("'it\\'s'", json!("it's")),
            ("-1.5e3", json!(-1500.0)),
            ("nil", json!(null)),
            (" true ", json!(true)),
            ("[1, {\"a\": null}]", json!([1, { "a": null }])),
        ] {
            let text = format!("{{{{ input.a | default({text}) }}}}");
            assert_eq!(filters(&text), [Filter::Default(value)], "{text}");
        }
    }

    #[test]
    fn what_is_no_template_is_told() {
        for (text, part) in [
            ("{{", "has no closing braces"),
            ("{{input", "has no closing braces"),
            ("{{}}", "a path has a name"),
            ("{{ input x }}", "expected \"|\" or \"}}\" at \"x }}\""),
            ("{{ input..x }}", "expected a name"),
            ("{{ input() }}", "\"input()\" is no root"),
            ("{{ 1 + 1 }}", "expected \"|\""),
            ("{{ input | upper }}", "no filter is named \"upper\""),
            ("{{ input | }}", "no filter is named \"}}\""),
            ("{{ input | default }}", "expected default(…)"),
            ("{{ input | default(x) }}", "expected default(…)"),
            ("{{ input | default(1 }}", "expected default(…)"),
            ("{{ input | default('x) }}", "expected default(…)"),
        ] {
            let why = Template::parse(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
