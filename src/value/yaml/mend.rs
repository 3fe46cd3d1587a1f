//! Lines of almost YAML into lines of YAML.
//!
//! What is between the lines of a block text (`|`, `>`), of a quoted text or of a flow value (`[`,
//! `{`) is left alone.

use std::borrow::Cow;

use super::resolve::{Scalar, typed};

pub struct Mended {
    pub text: String,
    /// Each once, in the order they were first made.
    pub fixes: Vec<&'static str>,
    /// The bytes of the lines that are YAML.
    pub start: usize,
    pub stop: usize,
}

/// Mends a text; `None` if no line of it looks like YAML.
pub fn mend(text: &str, rough: bool) -> Option<Mended> {
    let (start, stop) = structured(text, rough)?;
    let mut mender = Mender {
        out: String::with_capacity(stop - start + 64),
        fixes: Vec::new(),
        inside: Inside::Nothing,
        levels: Vec::new(),
        rough,
    };
    if !(text[..start].trim().is_empty() && text[stop..].trim().is_empty()) {
        mender.fix("prose");
    }
    text[start..stop].split_inclusive('\n').for_each(|line| mender.line(line));
    mender.finish();
    Some(Mended { text: mender.out, fixes: mender.fixes, start, stop })
}

/// From the first line that looks like YAML to the last that can belong to it.
fn structured(text: &str, rough: bool) -> Option<(usize, usize)> {
    let mut lines = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        lines.push((at, line));
        at += line.len();
    }
    let is_start = |i: &usize| {
        let (_, line) = lines[*i];
        looks_structured(line, rough) && !introduces(line, lines.get(i + 1).map(|(_, next)| *next))
    };
    let first = (0..lines.len()).find(is_start)?;
    let indent = indent_of(lines[first].1);
    let mut last = first;
    let mut after_gap = false;
    for (i, (_, line)) in lines.iter().enumerate().skip(first) {
        let blank = line.trim().is_empty();
        let ends =
            after_gap && !blank && indent_of(line) <= indent && !looks_structured(line, rough);
        if ends {
            break;
        }
        if !blank {
            last = i;
        }
        after_gap = blank;
    }
    let (at, line) = lines[last];
    Some((lines[first].0, at + line.len()))
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

fn looks_structured(line: &str, rough: bool) -> bool {
    let line = line.trim();
    bulleted(line).is_some()
        || line.starts_with('#')
        || line.starts_with("---")
        || key_of(line).is_some()
        || rough && unspaced(line).is_some()
}

/// `key:value`, which is one word to YAML. Not so `http://…` and `12:30`.
fn unspaced(line: &str) -> Option<(&str, &str)> {
    let (key, rest) = line.split_once(':')?;
    let word = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    (word && !rest.starts_with("//") && !rest.starts_with(':')).then_some((key, rest))
}

/// `Here is the file:` and nothing below it that would be its value.
fn introduces(line: &str, next: Option<&str>) -> bool {
    let line = line.trim();
    let below = next.is_some_and(|next| !next.trim().is_empty() && indent_of(next) > 0);
    line.ends_with(':') && line.split_whitespace().count() > 2 && !below
}

/// A list's item and what stands behind its bullet.
fn bulleted(line: &str) -> Option<&str> {
    ["- ", "* ", "• ", "+ "]
        .iter()
        .find_map(|bullet| line.strip_prefix(bullet))
        .or_else(|| (line == "-").then_some(""))
}

/// The key of a line and what stands behind its colon.
fn key_of(line: &str) -> Option<(&str, &str)> {
    const LONGEST: usize = 60;
    if let Some(quote) = line.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let end = line[1..].find(quote)? + 2;
        let rest = line[end..].trim_start().strip_prefix(':')?;
        return (rest.is_empty() || rest.starts_with([' ', '\t']))
            .then_some((&line[..end], rest.trim()));
    }
    let colon = line.match_indices(':').map(|(at, _)| at).find(|at| {
        let rest = &line[at + 1..];
        rest.is_empty() || rest.starts_with([' ', '\t'])
    })?;
    let key = line[..colon].trim_end();
    let fits = !key.is_empty()
        && key.len() <= LONGEST
        && !key.contains(['{', '[', ',', '#', '!', '?', ';'])
        && !key.contains(". ");
    fits.then(|| (key, line[colon + 1..].trim()))
}

/// What the line being read is within.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Nothing,
    /// A block text; its lines are indented more than this.
    Block(usize),
    /// A text in quotes.
    Quotes(char),
    /// So many brackets deep.
    Flow(usize),
    /// Lines of a text that was put into quotes: those indented more than this.
    Quoted(usize),
}

struct Mender {
    out: String,
    fixes: Vec<&'static str>,
    inside: Inside,
    /// Indentation of the open levels, as written and as put out, and whether one more may open.
    levels: Vec<(usize, usize, bool)>,
    rough: bool,
}

impl Mender {
    fn fix(&mut self, name: &'static str) {
        if !self.fixes.contains(&name) {
            self.fixes.push(name);
        }
    }

    fn line(&mut self, line: &str) {
        let line = line.trim_end_matches(['\n', '\r']);
        let line = self.without_tabs(line);
        let (indent, rest) = (indent_of(&line), line.trim());
        if let Inside::Quoted(outer) = self.inside
            && !rest.is_empty()
            && indent > outer
            && key_of(rest).is_none()
            && bulleted(rest).is_none()
        {
            return self.continue_quoted(rest);
        }
        match self.inside {
            _ if rest.is_empty() => self.put(&line),
            Inside::Block(outer) if indent > outer => self.put(&line),
            Inside::Quotes(quote) => {
                self.put(&line);
                self.inside = after_quotes(rest, quote);
            }
            Inside::Flow(depth) => {
                self.put(&line);
                self.inside = after_flow(rest, depth);
            }
            _ => self.structure(indent, rest),
        }
    }

    fn put(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    /// Tabs that indent become two spaces each.
    fn without_tabs<'a>(&mut self, line: &'a str) -> Cow<'a, str> {
        let indent = &line[..indent_of(line)];
        if !indent.contains('\t') {
            return line.into();
        }
        self.fix("tabs");
        (indent.replace('\t', "  ") + &line[indent.len()..]).into()
    }

    /// A line that is no part of a longer value.
    fn structure(&mut self, indent: usize, line: &str) {
        self.inside = Inside::Nothing;
        if line.starts_with('#') || line.starts_with("---") || line == "..." {
            return self.put(&format!("{}{line}", " ".repeat(indent)));
        }
        let (mut rest, mut column) = (line, indent);
        let mut head = String::new();
        while let Some(inner) = bulleted(rest) {
            if !rest.starts_with('-') {
                self.fix("bullets");
            }
            let inner = inner.trim_start();
            column += rest[..rest.len() - inner.len()].chars().count();
            head.push_str("- ");
            rest = inner;
        }
        let rest = self.spaced(rest);
        let (key, value) = match key_of(&rest) {
            Some((key, value)) => (Some(self.key(key)), value),
            None => (None, &*rest),
        };
        let indent = self.level(indent, key.is_some() && value.is_empty() || !head.is_empty());
        let value = self.value(value, if key.is_some() { column } else { indent }, key.is_some());
        let key = key.map_or(String::new(), |key| format!("{key}: "));
        let line = format!("{}{head}{key}{value}", " ".repeat(indent));
        self.put(line.trim_end());
    }

    /// The indentation to put out. With `rough`, a line that is deeper than the one before, which
    /// has a value already, and one between two levels, are moved where they can belong.
    fn level(&mut self, indent: usize, opens: bool) -> usize {
        if !self.rough {
            return indent;
        }
        let before = self.levels.len();
        while self.levels.last().is_some_and(|(written, ..)| *written > indent) {
            self.levels.pop();
        }
        let between = self.levels.len() < before;
        let put = match self.levels.last() {
            Some((written, put, _)) if *written == indent => *put,
            Some((_, put, false)) => {
                let put = *put;
                self.fix("indentation");
                put
            }
            Some((_, put, true)) => {
                let put = put + 2;
                if between {
                    self.fix("indentation");
                }
                put
            }
            None => 0,
        };
        match self.levels.last_mut() {
            Some(level) if level.0 == indent || !level.2 => *level = (level.0, put, opens),
            _ => self.levels.push((indent, put, opens)),
        }
        put
    }

    fn spaced<'a>(&mut self, line: &'a str) -> Cow<'a, str> {
        let apart = unspaced(line).filter(|_| self.rough && key_of(line).is_none());
        let Some((key, rest)) = apart else { return line.into() };
        self.fix("spaces");
        format!("{key}: {rest}").into()
    }

    /// A key that YAML would take for something else goes into quotes.
    fn key(&mut self, key: &str) -> String {
        let odd = key.starts_with(['*', '&', '!', '@', '`', '%', '|', '>', '}', ']']);
        match odd || key.starts_with("? ") || key.contains(": ") {
            true => {
                self.fix("quotes");
                quoted(key)
            }
            false => key.to_owned(),
        }
    }

    fn value(&mut self, value: &str, column: usize, keyed: bool) -> String {
        let Some(first) = value.chars().next() else { return String::new() };
        match first {
            '|' | '>' if is_block_head(value) => {
                self.inside = Inside::Block(column);
                value.to_owned()
            }
            '"' | '\'' => self.quotes(value, first, column),
            '[' | '{' => self.flow(value, column),
            '“' | '‘' if value.ends_with(['”', '’']) => {
                self.fix("quotes");
                quoted(value.trim_matches(['“', '”', '‘', '’']))
            }
            '&' | '*' if value[1..].chars().all(|c| c.is_alphanumeric() || "_-".contains(c)) => {
                value.to_owned()
            }
            '!' if value[1..].starts_with(['!', '<']) => value.to_owned(),
            _ if is_odd(value, first, keyed) => self.in_quotes(value, column),
            _ => value.to_owned(),
        }
    }

    fn in_quotes(&mut self, value: &str, column: usize) -> String {
        self.fix("quotes");
        self.inside = Inside::Quoted(column);
        quoted(value)
    }

    /// A further line of a text that was put into quotes.
    fn continue_quoted(&mut self, line: &str) {
        let inner = quoted(line);
        self.out.truncate(self.out.trim_end().len().saturating_sub(1));
        self.out.push(' ');
        self.put(&inner[1..]);
    }

    fn quotes(&mut self, value: &str, quote: char, column: usize) -> String {
        match closing(value, quote) {
            None => {
                self.inside = Inside::Quotes(quote);
                value.to_owned()
            }
            Some(end) if is_end(&value[end..]) => value.to_owned(),
            Some(_) => self.in_quotes(value, column),
        }
    }

    fn flow(&mut self, value: &str, column: usize) -> String {
        match flow_end(value, 0) {
            Err(depth) => {
                self.inside = Inside::Flow(depth);
                value.to_owned()
            }
            Ok(end) if is_end(&value[end..]) => value.to_owned(),
            Ok(_) => self.in_quotes(value, column),
        }
    }

    /// What is open at the end is closed, if that is wanted.
    fn finish(&mut self) {
        if !self.rough {
            return;
        }
        self.out.truncate(self.out.trim_end().len());
        match self.inside {
            Inside::Quotes(quote) => {
                self.fix("unclosed");
                self.out.push(quote);
            }
            Inside::Flow(_) => {
                self.fix("unclosed");
                let closers = closers(&self.out);
                self.out.push_str(&closers);
            }
            _ => {}
        }
        self.out.push('\n');
    }
}

/// Behind a value: nothing, or a comment.
fn is_end(rest: &str) -> bool {
    rest.trim().is_empty() || rest.trim_start().starts_with('#') && rest.starts_with([' ', '\t'])
}

fn is_block_head(value: &str) -> bool {
    let head = value.split(" #").next().unwrap_or_default().trim_end();
    head.len() <= 3 && head[1..].chars().all(|c| "+-123456789".contains(c))
}

/// Whether a plain text would be taken for something else.
fn is_odd(value: &str, first: char, keyed: bool) -> bool {
    "@`%&*,]}|>!".contains(first)
        || keyed && (value.starts_with("- ") || value.starts_with("? "))
        || (keyed || key_of(value).is_none())
            && (value.contains(": ") || value.ends_with(':') && typed(value) == Scalar::Text)
}

/// Where the text in quotes that `value` begins with ends.
fn closing(value: &str, quote: char) -> Option<usize> {
    let mut skip = false;
    let mut chars = value.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if skip => skip = false,
            '\\' if quote == '"' => skip = true,
            c if c == quote && quote == '\'' && chars.peek().is_some_and(|(_, c)| *c == '\'') => {
                skip = true;
            }
            c if c == quote => return Some(at + c.len_utf8()),
            _ => {}
        }
    }
    None
}

fn after_quotes(line: &str, quote: char) -> Inside {
    // As if the line began with the quote.
    match closing(&format!("{quote}{line}"), quote) {
        Some(_) => Inside::Nothing,
        None => Inside::Quotes(quote),
    }
}

/// Where the brackets of a text are closed, or how many are not.
fn flow_end(value: &str, mut depth: usize) -> Result<usize, usize> {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in value.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q && before != '\\' => quote = None,
            (Some(_), _) => {}
            // An apostrophe within a word opens nothing.
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Ok(at + 1);
                }
            }
            _ => {}
        }
        before = c;
    }
    Err(depth)
}

fn after_flow(line: &str, depth: usize) -> Inside {
    match flow_end(line, depth) {
        Ok(_) => Inside::Nothing,
        Err(depth) => Inside::Flow(depth),
    }
}

/// What closes the brackets that a text leaves open, and a text in quotes within them.
fn closers(text: &str) -> String {
    let mut open = Vec::new();
    let mut quote = None;
    let mut before = ' ';
    for c in text.chars() {
        match (quote, c) {
            (Some(q), c) if c == q && before != '\\' => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
            (None, '[') => open.push(']'),
            (None, '{') => open.push('}'),
            (None, ']' | '}') => {
                open.pop();
            }
            _ => {}
        }
        before = c;
    }
    quote.into_iter().chain(open.into_iter().rev()).collect()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
