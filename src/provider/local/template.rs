//! Renders the chat template that a model file carries: Jinja as transformers runs it.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde};
use minijinja::{Environment, Error as Failure, ErrorKind, Value as Jinja, context};
use serde_json::{Value, json};

use super::tools;
use crate::chat::{Content, Message, Part, ToolCall, ToolSpec};
use crate::clock::Clock;
use crate::error::{Code, Error, Result};

/// A template and the model's texts it refers to.
#[derive(Clone, Debug)]
pub struct Template {
    pub source: String,
    pub bos: String,
    pub eos: String,
}

impl Template {
    /// Whether the template tells the model about tools.
    fn knows_tools(&self) -> bool {
        self.source.contains("tools")
    }

    /// Whether it writes down what a model has called.
    fn knows_calls(&self) -> bool {
        self.source.contains("tool_calls")
    }

    /// The conversation in words that the template knows.
    fn told(&self, messages: &[Message], tools: &[ToolSpec]) -> Vec<Message> {
        let mut messages = match self.knows_calls() {
            true => messages.to_vec(),
            false => tools::as_text(messages),
        };
        if !tools.is_empty() && !self.knows_tools() {
            tools::tell(&mut messages, tools, self.source.contains("system"));
        }
        messages
    }

    pub fn render(
        &self,
        messages: &[Message],
        tools: &[ToolSpec],
        clock: &Clock,
    ) -> Result<String> {
        let messages = self.told(messages, tools);
        let messages = messages.iter().enumerate().map(|(i, m)| Template::message(i, m));
        let messages = messages.collect::<Result<Vec<Value>>>()?;
        let tools: Option<Vec<Value>> =
            (!tools.is_empty()).then(|| tools.iter().map(tool).collect());
        let failed = |failure: Failure| {
            let reason = failure.detail().map_or_else(|| failure.to_string(), str::to_owned);
            Error::new(Code::TemplateError, format!("the model's chat template: {reason}"))
        };
        let mut environment = environment(clock);
        environment.add_template("chat", &self.source).map_err(failed)?;
        let values = context! {
            messages => Serde(&messages),
            tools => Serde(&tools),
            add_generation_prompt => true,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        };
        environment.get_template("chat").and_then(|t| t.render(values)).map_err(failed)
    }

    fn message(index: usize, message: &Message) -> Result<Value> {
        let mut value = json!({
            "role": message.role.name(),
            "content": text_at(index, message)?,
        });
        if let Some(name) = &message.name {
            value["name"] = json!(name);
        }
        if let Some(id) = &message.tool_call_id {
            value["tool_call_id"] = json!(id);
        }
        if !message.tool_calls.is_empty() {
            value["tool_calls"] = message.tool_calls.iter().map(tool_call).collect();
        }
        Ok(value)
    }
}

/// Messages that no template can hold.
pub fn check(messages: &[Message]) -> Result<()> {
    messages.iter().enumerate().try_for_each(|(i, message)| text_at(i, message).map(drop))
}

fn text_at(index: usize, message: &Message) -> Result<String> {
    text(&message.content).map_err(|e| e.at(&format!("messages[{}]", index + 1)))
}

fn text(content: &Content) -> Result<String> {
    if let Content::Parts(parts) = content
        && !parts.iter().all(|part| matches!(part, Part::Text(_) | Part::Cache(_)))
    {
        return Err(Error::unsupported("an embedded model takes text only, no images"));
    }
    Ok(content.text())
}

fn tool(tool: &ToolSpec) -> Value {
    json!({"type": "function", "function": {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }})
}

fn tool_call(call: &ToolCall) -> Value {
    let arguments = call.arguments().unwrap_or_else(|| Value::String(call.arguments_json.clone()));
    json!({"id": call.id, "type": "function", "function": {
        "name": call.name,
        "arguments": arguments,
    }})
}

fn environment(clock: &Clock) -> Environment<'static> {
    let mut environment = Environment::new();
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_recursion_limit(100);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_filter("tojson", to_json);
    environment.add_function("raise_exception", raise_exception);
    let now = clock.unix();
    environment.add_function("strftime_now", move |format: &str| strftime(now, format));
    environment
}

fn raise_exception(message: &str) -> std::result::Result<Jinja, Failure> {
    Err(Failure::new(ErrorKind::InvalidOperation, message.to_owned()))
}

/// As Python's `json.dumps(value, ensure_ascii=False, indent=…)`: models were trained on it.
fn to_json(value: &Jinja, options: Kwargs) -> std::result::Result<Jinja, Failure> {
    let unusable = |e: serde_json::Error| Failure::new(ErrorKind::BadSerialization, e.to_string());
    let indent: Option<usize> = options.get("indent")?;
    let value = serde_json::to_value(value).map_err(unusable)?;
    let mut text = Vec::new();
    match indent {
        Some(width) => {
            let spaces = " ".repeat(width.min(16));
            let style = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
            write_json(&value, &mut text, style).map_err(unusable)?;
        }
        None => write_json(&value, &mut text, Spaced).map_err(unusable)?,
    }
    Ok(Jinja::from_safe_string(String::from_utf8_lossy(&text).into_owned()))
}

fn write_json(
    value: &Value,
    out: &mut Vec<u8>,
    style: impl serde_json::ser::Formatter,
) -> std::result::Result<(), serde_json::Error> {
    serde::Serialize::serialize(value, &mut serde_json::Serializer::with_formatter(out, style))
}

/// `{"a": 1, "b": 2}`
struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W>(&mut self, out: &mut W, first: bool) -> std::io::Result<()>
    where
        W: ?Sized + std::io::Write,
    {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W>(&mut self, out: &mut W, first: bool) -> std::io::Result<()>
    where
        W: ?Sized + std::io::Write,
    {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W>(&mut self, out: &mut W) -> std::io::Result<()>
    where
        W: ?Sized + std::io::Write,
    {
        out.write_all(b": ")
    }
}

/// The date fields that chat templates ask for, in UTC.
fn strftime(unix: f64, format: &str) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const DAYS: [&str; 7] =
        ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    let seconds = unix as i64;
    let days = seconds.div_euclid(86_400);
    let second = seconds.rem_euclid(86_400);
    let (year, month, day) = civil(days);
    let month_name = MONTHS[month - 1];
    let day_name = DAYS[days.rem_euclid(7) as usize];
    let mut text = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('Y') => text.push_str(&year.to_string()),
            Some('y') => text.push_str(&format!("{:02}", year.rem_euclid(100))),
            Some('m') => text.push_str(&format!("{month:02}")),
            Some('d') => text.push_str(&format!("{day:02}")),
            Some('B') => text.push_str(month_name),
            Some('b') => text.push_str(&month_name[..3]),
            Some('A') => text.push_str(day_name),
            Some('a') => text.push_str(&day_name[..3]),
            Some('H') => text.push_str(&format!("{:02}", second / 3600)),
            Some('M') => text.push_str(&format!("{:02}", second / 60 % 60)),
            Some('S') => text.push_str(&format!("{:02}", second % 60)),
            Some(other) => text.extend(['%', other]),
            None => text.push('%'),
        }
    }
    text
}

/// Year, month and day of a day counted from 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, usize, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (year + era * 400 + i64::from(month <= 2), month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Role;

    fn render(source: &str, messages: &[Message], tools: &[ToolSpec]) -> Result<String> {
        let template =
            Template { source: source.to_owned(), bos: "<s>".to_owned(), eos: "</s>".to_owned() };
        template.render(messages, tools, &Clock::default())
    }

    #[test]
    fn chatml_with_python_methods() {
        let source = "{%- for m in messages %}\n    {%- if m.content.startswith('h') %}\n\
            {{- '<|im_start|>' + m['role'] + '\\n' + m['content'].strip() + '<|im_end|>\\n' }}\n\
            {%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
        let text = render(source, &[Message::new(Role::User, "hi  ")], &[]).unwrap();
        assert_eq!(text, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
    }

    #[test]
    fn tools_are_written_as_python_would() {
        let tools = [ToolSpec {
            name: "add".into(),
            description: "a < b & c".into(),
            parameters: json!({"type": "object", "properties": {"b": {}, "a": {}}}),
        }];
        let source =
            "{% if tools %}{% for t in tools %}{{ t.function | tojson }}{% endfor %}{% endif %}";
        let text = render(source, &[], &tools).unwrap();
        let expected = r#"{"name": "add", "description": "a < b & c", "parameters": {"type": "object", "properties": {"b": {}, "a": {}}}}"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn a_template_without_tools_tells_of_them_in_words() {
        let parameters = json!({"type": "object"});
        let tools = [ToolSpec { name: "add".into(), description: "sums".into(), parameters }];
        let plain = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}";
        let asked = [Message::new(Role::System, "Be kind."), Message::new(Role::User, "1 + 2?")];
        for (source, place) in [
            (format!("{plain}{{# system #}}"), "<system>Be kind.\n\nYou can call"),
            (plain.to_owned(), "<user>You can call"),
        ] {
            let asked = if place.starts_with("<user>") { &asked[1..] } else { &asked[..] };
            let text = render(&source, asked, &tools).unwrap();
            assert!(text.starts_with(place), "{text}");
            assert!(
                text.contains(
                    r#"{"name":"add","description":"sums","parameters":{"type":"object"}}"#
                )
            );
            assert!(text.ends_with("1 + 2?"), "{text}");
        }
    }

    #[test]
    fn an_exception_of_the_template_is_the_error() {
        let source = "{{ raise_exception('roles must alternate') }}";
        let error = render(source, &[], &[]).unwrap_err();
        assert_eq!(error.code(), Code::TemplateError);
        assert_eq!(error.message(), "the model's chat template: roles must alternate");
    }

    #[test]
    fn tool_calls_and_results_reach_the_template() {
        let mut asked = Message::new(Role::Assistant, "");
        asked.tool_calls.push(ToolCall {
            id: "call_1".into(),
            name: "add".into(),
            arguments_json: r#"{"a":1}"#.into(),
            whole: true,
        });
        let source = "{% for m in messages %}{% if m.tool_calls %}{% for c in m.tool_calls %}\
            {{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}\
            {% else %}{{ m.role }}:{{ m.content }}{% endif %}{% endfor %}";
        let messages = [asked, Message::tool_result("call_1", "2")];
        assert_eq!(render(source, &messages, &[]).unwrap(), r#"add{"a": 1}tool:2"#);
        let plain = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}";
        let text = render(plain, &messages, &[]).unwrap();
        let call =
            "<assistant><tool_call>\n{\"name\":\"add\",\"arguments\":{\"a\":1}}\n</tool_call>";
        assert_eq!(text, format!("{call}<user><tool_response>\n2\n</tool_response>"));
    }

    #[test]
    fn dates() {
        assert_eq!(
            strftime(1_753_000_000.0, "%d %b %Y %H:%M:%S %A"),
            "20 Jul 2025 08:26:40 Sunday"
        );
        assert_eq!(strftime(951_782_400.0, "%Y-%m-%d"), "2000-02-29");
    }
}
