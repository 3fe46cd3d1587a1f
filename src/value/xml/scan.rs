//! A text cut into tags and what is between them.

use std::borrow::Cow;

use super::{Level, entity, failed, in_name, is_character, starts_name};
use crate::error::{Error, Result};

#[derive(Debug, PartialEq)]
pub enum Token<'t> {
    Start {
        name: &'t str,
        attributes: Vec<(&'t str, String)>,
        closed: bool,
    },
    End(&'t str),
    Text(String),
    /// To be kept to the letter.
    Exact(&'t str),
    /// Comments and instructions.
    Nothing,
}

pub struct Scanner<'t> {
    pub text: &'t str,
    pub at: usize,
    level: Level,
    pub fixes: Vec<&'static str>,
}

impl<'t> Scanner<'t> {
    pub fn new(text: &'t str, level: Level) -> Scanner<'t> {
        Scanner { text, at: 0, level, fixes: Vec::new() }
    }

    pub fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub fn fix(&mut self, name: &'static str) {
        if !self.fixes.contains(&name) {
            self.fixes.push(name);
        }
    }

    pub fn failed(&self, at: usize, reason: &str) -> Error {
        failed(self.text, at, reason)
    }

    /// Forgives something, or fails with the reason.
    pub fn forgive(&mut self, at: usize, fix: &'static str, reason: &str) -> Result<()> {
        if self.level == Level::Strict {
            return Err(self.failed(at, reason));
        }
        self.fix(fix);
        Ok(())
    }

    /// The next token; `None` at the end.
    pub fn token(&mut self) -> Result<Option<Token<'t>>> {
        let rest = self.rest();
        if rest.is_empty() {
            return Ok(None);
        }
        if !rest.starts_with('<') {
            return self.characters().map(Some);
        }
        self.markup(rest).map(Some)
    }

    fn markup(&mut self, rest: &'t str) -> Result<Token<'t>> {
        if let Some(inner) = rest.strip_prefix("<!--") {
            return self.comment(inner);
        }
        if let Some(inner) = rest.strip_prefix("<![CDATA[") {
            let (exact, _) = self.until(inner, 9, "]]>", "CDATA is not closed")?;
            self.check_characters(exact)?;
            return Ok(Token::Exact(exact));
        }
        if rest.starts_with("<!") {
            return self.declaration();
        }
        if let Some(inner) = rest.strip_prefix("<?") {
            return self.instruction(inner);
        }
        match rest[1..].chars().next() {
            Some('/') => self.end_tag(),
            Some(c) if starts_name(c) => self.start_tag(),
            _ => {
                self.forgive(self.at, "bare_less_than", "< that begins no tag")?;
                self.at += 1;
                Ok(Token::Text("<".into()))
            }
        }
    }

    /// The text up to `end`, which is behind `skip` bytes from here, and whether it is there.
    fn until(
        &mut self,
        inner: &'t str,
        skip: usize,
        end: &str,
        reason: &str,
    ) -> Result<(&'t str, bool)> {
        match inner.find(end) {
            Some(length) => {
                self.at += skip + length + end.len();
                Ok((&inner[..length], true))
            }
            None => {
                self.forgive(self.at, "unclosed_tag", reason)?;
                self.at = self.text.len();
                Ok((inner, false))
            }
        }
    }

    fn comment(&mut self, inner: &'t str) -> Result<Token<'t>> {
        let from = self.at;
        let (comment, _) = self.until(inner, 4, "-->", "a comment is not closed")?;
        if comment.contains("--") || comment.ends_with('-') {
            self.forgive(from, "comment", "-- within a comment")?;
        }
        self.check_characters(comment)?;
        Ok(Token::Nothing)
    }

    fn instruction(&mut self, inner: &'t str) -> Result<Token<'t>> {
        let from = self.at;
        let (whole, _) = self.until(inner, 2, "?>", "an instruction is not closed")?;
        let name = whole.split(|c| !in_name(c)).next().unwrap_or_default();
        let spaced = name.len() == whole.len() || whole[name.len()..].starts_with(is_space);
        if !name.starts_with(starts_name) || !spaced {
            self.forgive(from, "instruction", "an instruction without a name")?;
        }
        if name.eq_ignore_ascii_case("xml") && (from != 0 || name != "xml" || !declares(whole)) {
            self.forgive(from, "declaration", "an XML declaration that is none")?;
        }
        self.check_characters(whole)?;
        Ok(Token::Nothing)
    }

    /// `<!DOCTYPE …>`, passed over. What it declares is not read, so one that declares is refused.
    fn declaration(&mut self) -> Result<Token<'t>> {
        let (from, rest) = (self.at, self.rest());
        let is_type = rest.get(..9).is_some_and(|it| it.eq_ignore_ascii_case("<!doctype"));
        let Some(end) = rest.find(['>', '[']).filter(|_| is_type) else {
            self.forgive(from, "bare_less_than", "<! that begins nothing known")?;
            self.at += 1;
            return Ok(Token::Text("<".into()));
        };
        if !rest[end..].starts_with('[') {
            self.at += end + 1;
            return Ok(Token::Nothing);
        }
        self.forgive(from, "doctype", "a document type that declares something is not read")?;
        let close = rest.find("]>").or_else(|| rest.rfind(']'));
        self.at += close.map_or(rest.len(), |close| close + 1);
        let after = self.rest();
        if let Some(behind) = after.trim_start().strip_prefix('>') {
            self.at += after.len() - behind.len();
        }
        Ok(Token::Nothing)
    }

    fn end_tag(&mut self) -> Result<Token<'t>> {
        let from = self.at;
        self.at += 2;
        let name = self.name();
        self.space();
        if name.is_empty() {
            self.forgive(from, "stray_end_tag", "an end tag without a name")?;
            let rest = self.rest();
            self.at += rest.find('>').map_or(rest.len(), |end| end + 1);
            return Ok(Token::Nothing);
        }
        match self.rest().strip_prefix('>') {
            Some(_) => self.at += 1,
            None => self.forgive(from, "unclosed_tag", "an end tag is not closed")?,
        }
        Ok(Token::End(name))
    }

    fn start_tag(&mut self) -> Result<Token<'t>> {
        let from = self.at;
        self.at += 1;
        let name = self.name();
        let mut attributes: Vec<(&'t str, String)> = Vec::new();
        loop {
            let spaced = self.space();
            let rest = self.rest();
            if rest.starts_with("/>") || rest.starts_with('>') {
                let closed = rest.starts_with('/');
                self.at += 1 + usize::from(closed);
                return Ok(Token::Start { name, attributes, closed });
            }
            if !rest.starts_with(starts_name) {
                return self.broken_tag(from, name, attributes);
            }
            if !spaced {
                self.forgive(self.at, "attribute", "no space before an attribute")?;
            }
            let at = self.at;
            let (key, value) = self.attribute()?;
            if attributes.iter().any(|(known, _)| *known == key) {
                self.forgive(at, "attribute", &format!("the attribute {key} twice"))?;
            } else {
                attributes.push((key, value));
            }
        }
    }

    /// Something in a tag that belongs into none.
    fn broken_tag(
        &mut self,
        from: usize,
        name: &'t str,
        attributes: Vec<(&'t str, String)>,
    ) -> Result<Token<'t>> {
        let rest = self.rest();
        let at_end = rest.is_empty() || rest.starts_with('<');
        if self.level == Level::Strict || at_end && self.level < Level::BestEffort {
            let reason = if at_end { "a tag is not closed" } else { "not an attribute" };
            return Err(self.failed(if at_end { from } else { self.at }, reason));
        }
        if at_end {
            self.fix("unclosed_tag");
            return Ok(Token::Start { name, attributes, closed: false });
        }
        // `a <b or c`: no tag after all.
        self.fix("bare_less_than");
        self.at = from + 1;
        Ok(Token::Text("<".into()))
    }

    fn attribute(&mut self) -> Result<(&'t str, String)> {
        let (at, key) = (self.at, self.name());
        self.space();
        if !self.rest().starts_with('=') {
            self.forgive(at, "attribute", &format!("the attribute {key} has no value"))?;
            return Ok((key, String::new()));
        }
        self.at += 1;
        self.space();
        Ok((key, self.attribute_value(key)?))
    }

    fn attribute_value(&mut self, key: &str) -> Result<String> {
        let (at, rest) = (self.at, self.rest());
        for quote in ['"', '\''] {
            let Some(inner) = rest.strip_prefix(quote) else { continue };
            let Some(end) = inner.find(quote) else { break };
            if let Some(less) = inner[..end].find('<') {
                self.forgive(at + 1 + less, "bare_less_than", "< in an attribute")?;
            }
            self.at += end + 2;
            let raw = inner[..end].replace("\r\n", " ").replace(['\t', '\n', '\r'], " ");
            return self.decoded(&raw, at + 1).map(Cow::into_owned);
        }
        self.forgive(at, "attribute", &format!("the value of {key} is not in quotes"))?;
        let stop = |c: char| is_space(c) || c == '>' || c == '<';
        let end = rest.find(stop).unwrap_or(rest.len());
        let value = rest[..end].strip_suffix('/').filter(|_| rest[end..].starts_with('>'));
        let value = value.unwrap_or(&rest[..end]);
        self.at += value.len();
        let quotes = ['"', '\'', '“', '”', '‘', '’'];
        self.decoded(value.trim_matches(quotes), at).map(Cow::into_owned)
    }

    fn characters(&mut self) -> Result<Token<'t>> {
        let (at, rest) = (self.at, self.rest());
        let raw = &rest[..rest.find('<').unwrap_or(rest.len())];
        self.at += raw.len();
        if let Some(end) = raw.find("]]>") {
            self.forgive(at + end, "characters", "]]> outside of CDATA")?;
        }
        let text = self.decoded(raw, at)?;
        Ok(Token::Text(text.replace("\r\n", "\n").replace('\r', "\n")))
    }

    /// References replaced; `at` is where the text stands.
    fn decoded<'a>(&mut self, raw: &'a str, at: usize) -> Result<Cow<'a, str>> {
        self.check_characters_at(raw, at)?;
        if !raw.contains('&') {
            return Ok(Cow::Borrowed(raw));
        }
        let (mut out, mut rest) = (String::with_capacity(raw.len()), raw);
        while let Some(next) = rest.find('&') {
            out.push_str(&rest[..next]);
            rest = &rest[next..];
            if let Some((c, length)) = entity::reference(rest) {
                out.push(c);
                rest = &rest[length..];
                continue;
            }
            let place = at + raw.len() - rest.len();
            self.forgive(place, "bare_ampersand", "& that begins no known reference")?;
            let (c, length) = entity::html(rest).unwrap_or(('&', 1));
            out.push(c);
            rest = &rest[length..];
        }
        out.push_str(rest);
        Ok(Cow::Owned(out))
    }

    fn check_characters(&mut self, text: &str) -> Result<()> {
        self.check_characters_at(text, self.at.saturating_sub(text.len()))
    }

    fn check_characters_at(&mut self, text: &str, at: usize) -> Result<()> {
        match text.find(|c| !is_character(c)) {
            Some(bad) => self.forgive(at + bad, "characters", "a character that XML has not"),
            None => Ok(()),
        }
    }

    fn name(&mut self) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|c| !in_name(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// Passes over space; whether there was any.
    fn space(&mut self) -> bool {
        let rest = self.rest();
        let length = rest.len() - rest.trim_start_matches(is_space).len();
        self.at += length;
        length > 0
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// `xml version="1.0" encoding="…" standalone="…"`
fn declares(whole: &str) -> bool {
    let rest = whole.strip_prefix("xml").unwrap_or_default().trim_start();
    rest.strip_prefix("version").is_some_and(|rest| rest.trim_start().starts_with('='))
}
