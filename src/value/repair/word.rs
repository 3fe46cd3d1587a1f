//! What stands without quotes: literals, numbers, words, regular expressions, calls.

use super::Missing;
use super::fix::Fix;
use super::reader::{Inside, Read, Reader, is_word, is_word_start};
use super::string::{Role, quote_at};

/// What a word means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Literal {
    Null,
    Bool(bool),
}

/// The literals of JSON, Python and JavaScript, in any case.
pub fn literal(word: &[u8]) -> Option<Literal> {
    const NULLS: [&str; 7] =
        ["null", "none", "undefined", "nan", "infinity", "-infinity", "+infinity"];
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    match () {
        () if is("true") => Some(Literal::Bool(true)),
        () if is("false") => Some(Literal::Bool(false)),
        () if NULLS.iter().any(|name| is(name)) => Some(Literal::Null),
        () => None,
    }
}

/// A literal that the end of the text cut off.
fn cut_off(word: &[u8]) -> Option<Literal> {
    let all = [
        ("true", Literal::Bool(true)),
        ("false", Literal::Bool(false)),
        ("null", Literal::Null),
        ("None", Literal::Null),
        ("True", Literal::Bool(true)),
        ("False", Literal::Bool(false)),
        ("NaN", Literal::Null),
        ("undefined", Literal::Null),
    ];
    all.into_iter().find(|(name, _)| name.as_bytes().starts_with(word)).map(|(_, it)| it)
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Int(i64),
    Float(f64),
}

/// A number, and whether it is written as JSON has it.
pub fn number(token: &[u8]) -> Option<(Number, bool)> {
    let text = std::str::from_utf8(token).ok()?;
    if is_json_number(token) {
        return plain_number(text).map(|number| (number, true));
    }
    odd_number(text).map(|number| (number, false))
}

fn plain_number(text: &str) -> Option<Number> {
    if !text.contains(['.', 'e', 'E'])
        && let Ok(int) = text.parse()
    {
        return Some(Number::Int(int));
    }
    text.parse().ok().filter(|float: &f64| float.is_finite()).map(Number::Float)
}

/// `-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?`
fn is_json_number(token: &[u8]) -> bool {
    let digits = |t: &[u8]| t.iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = token.strip_prefix(b"-").unwrap_or(token);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    let mut rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let n = digits(fraction);
        if n == 0 {
            return false;
        }
        rest = &fraction[n..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent =
            exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+")).unwrap_or(exponent);
        let n = digits(exponent);
        return n > 0 && n == exponent.len();
    }
    rest.is_empty()
}

/// `.5`, `1.`, `+1`, `1_000`, `1e`, `0x1F`, `-`.
fn odd_number(text: &str) -> Option<Number> {
    let (sign, body) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    if let Some(hex) = body.strip_prefix("0x").or(body.strip_prefix("0X")) {
        return i64::from_str_radix(&format!("{sign}{hex}"), 16).ok().map(Number::Int);
    }
    if body.is_empty() {
        return (sign == "-").then_some(Number::Int(0));
    }
    let body = body.replace('_', "");
    let body = body.trim_end_matches(['e', 'E', '+', '-']).trim_end_matches('.');
    let lead = if body.starts_with('.') { "0" } else { "" };
    let text = format!("{sign}{lead}{body}");
    is_json_number(text.as_bytes()).then(|| plain_number(&text)).flatten()
}

impl Reader<'_> {
    /// A value without quotes.
    pub fn bare(&mut self, role: Role) -> Read<()> {
        let from = self.at;
        let read = match self.peek() {
            b'/' if self.best() => return self.regex(),
            b'-' | b'+' | b'.' | b'0'..=b'9' => self.number_here(role)?,
            byte if is_word_start(byte) => self.word_here(role)?,
            _ => false,
        };
        if read {
            return Ok(());
        }
        self.at = from;
        self.unquoted(role)
    }

    /// A number token with nothing but an end, or another value, behind it.
    fn number_here(&mut self, role: Role) -> Read<bool> {
        let from = self.at;
        let inner = |b: u8| b.is_ascii_alphanumeric() || b"_.+-/%".contains(&b) || b >= 0x80;
        let len = self.rest(from).iter().take_while(|b| inner(**b)).count();
        let comment = memchr::memmem::find(self.part(from, from + len), b"//");
        let token = self.part(from, from + comment.unwrap_or(len));
        let token =
            token.strip_suffix(b"/").filter(|_| self.byte(from + len) == b'*').unwrap_or(token);
        if literal(token) == Some(Literal::Null) {
            self.fix(Fix::Literal, from)?;
            self.at = from + token.len();
            self.tape.null();
            return Ok(true);
        }
        let Some((value, json)) = number(token) else { return Ok(false) };
        let to = from + token.len();
        if self.goes_on(to, role) {
            return Ok(false);
        }
        if !json {
            self.fix(Fix::Number, from)?;
        }
        self.at = to;
        self.stray_quote()?;
        match value {
            Number::Int(int) => self.tape.int(int),
            Number::Float(float) => self.tape.float(float),
        }
        Ok(true)
    }

    /// Whether a bare value is only the beginning of a longer text: `12 km`, `1,234`.
    fn goes_on(&mut self, to: usize, role: Role) -> bool {
        match self.byte(to) {
            b',' if role == Role::Value && self.best() => {
                self.byte(to + 1).is_ascii_digit() && !self.key_at(to + 1)
            }
            b' ' | b'\t' if self.best() => {
                let next = self.after_spaces(to);
                let byte = self.byte(next);
                let word = is_word_start(byte) || b"%*/&|<>!?@".contains(&byte);
                word && self.comment_end(next).is_none()
                    && quote_at(self.rest(next)).is_none()
                    && !self.key_at(next)
                    && !self.literal_at(next)
            }
            b'*' | b'&' | b'@' | b'!' | b'?' | b'<' | b'>' | b'|' => true,
            b':' => role != Role::Key && self.best() && !matches!(role, Role::Item | Role::Top),
            _ => false,
        }
    }

    fn after_spaces(&self, at: usize) -> usize {
        at + self.rest(at).iter().take_while(|b| matches!(b, b' ' | b'\t')).count()
    }

    /// The quote at the end of a value that has none in front.
    fn stray_quote(&mut self) -> Read<()> {
        let Some(quote) = quote_at(self.rest(self.at)) else { return Ok(()) };
        let next = self.after_blank(self.at + quote.len);
        if next >= self.end || matches!(self.byte(next), b',' | b'}' | b']' | b')') {
            self.fix(Fix::MissingQuote, self.at)?;
            self.at += quote.len;
        }
        Ok(())
    }

    /// A literal, a call, or a string with a prefix.
    fn word_here(&mut self, role: Role) -> Read<bool> {
        let from = self.at;
        let len = self.rest(from).iter().take_while(|b| is_word(**b) || **b == b'.').count();
        let word = self.part(from, from + len);
        let to = from + len;
        if let Some(found) = literal(word)
            && !(self.goes_on(to, role) && self.after_literal(to, role))
        {
            self.at = to;
            return self.push_literal(word, found, from).map(|()| true);
        }
        if !self.best() {
            return Ok(false);
        }
        if let Some(found) = cut_off(word)
            && to >= self.end
            && !self.stack.is_empty()
        {
            self.fix(Fix::TruncatedLiteral, from)?;
            self.at = to;
            return self.push_literal(word, found, from).map(|()| true);
        }
        self.call_or_prefix(word, to, role)
    }

    /// In arrays a literal ends at the next blank.
    fn after_literal(&self, to: usize, role: Role) -> bool {
        role != Role::Item || !matches!(self.byte(to), b' ' | b'\t')
    }

    fn push_literal(&mut self, word: &[u8], found: Literal, from: usize) -> Read<()> {
        if !matches!(word, b"true" | b"false" | b"null") {
            self.fix(Fix::Literal, from)?;
        }
        self.stray_quote()?;
        match found {
            Literal::Null => self.tape.null(),
            Literal::Bool(value) => self.tape.bool(value),
        }
        Ok(())
    }

    fn call_or_prefix(&mut self, word: &[u8], to: usize, role: Role) -> Read<bool> {
        let next = self.after_spaces(to);
        if self.byte(next) == b'(' && (next == to || self.call_at(next)) {
            self.fix(Fix::Call, self.at)?;
            self.at = next;
            return self.paren().map(|()| true);
        }
        if word == b"new" && next > to {
            let name = self.rest(next).iter().take_while(|b| is_word(**b)).count();
            if name > 0 && self.byte(next + name) == b'(' {
                self.fix(Fix::Call, self.at)?;
                self.at = next + name;
                return self.paren().map(|()| true);
            }
        }
        let prefix = matches!(word, b"b" | b"u" | b"r" | b"f" | b"rb" | b"br");
        let quote = quote_at(self.rest(to)).filter(|_| prefix);
        if let Some(quote) = quote
            && self.next_quote(quote.style, to + quote.len).is_some_and(|(n, _)| self.spend(n - to))
        {
            self.note(Fix::Quotes);
            self.at = to;
            return self.quoted(role).map(|()| true);
        }
        Ok(false)
    }

    /// A bracket with the beginning of a value in it.
    fn call_at(&mut self, at: usize) -> bool {
        let next = self.after_blank(at + 1);
        let byte = self.byte(next);
        b"{[()-".contains(&byte)
            || byte.is_ascii_digit()
            || quote_at(self.rest(next)).is_some()
            || self.literal_at(next)
    }

    /// `/pattern/flags` is kept as text.
    fn regex(&mut self) -> Read<()> {
        let from = self.at;
        let mut at = from + 1;
        while at < self.end && !matches!(self.byte(at), b'/' | b'\n') {
            at += if self.byte(at) == b'\\' { 2 } else { 1 };
        }
        let at = at.min(self.end);
        if self.byte(at) != b'/' {
            self.spend(at - from);
            return self.unquoted(Role::Value);
        }
        let flags = self.rest(at + 1).iter().take_while(|b| b.is_ascii_alphabetic()).count();
        let next = self.byte(at + 1 + flags);
        if next != 0 && !next.is_ascii_whitespace() && !b",;}])".contains(&next) {
            // A path.
            self.spend(at - from);
            return self.unquoted(Role::Value);
        }
        self.fix(Fix::UnquotedString, from)?;
        self.at = at + 1 + flags;
        self.push_text(from, self.at)
    }

    /// Bytes of the text as a string.
    pub fn push_text(&mut self, from: usize, to: usize) -> Read<()> {
        let bytes = self.text.get(from..to).unwrap_or_default();
        if std::str::from_utf8(bytes).is_err() {
            self.fix(Fix::InvalidUtf8, from)?;
        }
        self.tape.str(String::from_utf8_lossy(bytes).as_bytes());
        Ok(())
    }

    /// Text without quotes, as far as it goes.
    pub fn unquoted(&mut self, role: Role) -> Read<()> {
        let from = self.at;
        if !self.best() {
            return Err(self.expected("a value"));
        }
        self.note(Fix::UnquotedString);
        let end = self.unquoted_end(role);
        self.at = end;
        let to = from + self.part(from, end).trim_ascii_end().len();
        let had_quote = quote_at(self.rest(end)).is_some();
        self.stray_quote()?;
        if to == from && !had_quote {
            // Nothing that could be a value: step over it.
            self.at = end.max(from + 1).min(self.end);
            return self.missing_value(from);
        }
        match number(self.part(from, to)) {
            Some((Number::Int(int), _)) if had_quote => self.tape.int(int),
            _ => self.push_text(from, to)?,
        }
        Ok(())
    }

    fn unquoted_end(&mut self, role: Role) -> usize {
        let (from, mut inner) = (self.at, Vec::new());
        let mut at = from;
        while at < self.end {
            let byte = self.byte(at);
            match byte {
                b'\n' => break,
                b'{' | b'[' | b'(' if at > from || byte == b'(' => inner.push(byte),
                b'}' | b']' | b')' if inner.last().is_some_and(|open| pair(*open, byte)) => {
                    inner.pop();
                }
                b'}' | b']' => break,
                b')' if role == Role::Arg => break,
                b',' if inner.is_empty() && self.comma_ends(at, role) => break,
                b'/' | b'#' if self.comment_begins(at, from) => break,
                b'`' if self.starts(at, "```") => break,
                _ if at > from && self.quote_ends(at) => break,
                _ => {}
            }
            at += 1;
        }
        if inner.is_empty() { at } else { self.shallow_end(role, at) }
    }

    /// The end of text whose own brackets stay open.
    fn shallow_end(&mut self, role: Role, longest: usize) -> usize {
        let text = self.part(self.at, longest);
        self.spend(text.len());
        let ends = |b: &u8| matches!(b, b'}' | b']') || (*b == b',' && role != Role::Value);
        text.iter().position(ends).map_or(longest, |n| self.at + n)
    }

    fn comma_ends(&mut self, at: usize, role: Role) -> bool {
        if role != Role::Value {
            return true;
        }
        let next = self.after_blank(at + 1);
        next >= self.end
            || self.part(at, next).contains(&b'\n')
            || b"}],{[.".contains(&self.byte(next))
            || self.key_at(next)
            || self.key_after_words(next)
    }

    fn comment_begins(&self, at: usize, from: usize) -> bool {
        let free = at == from || self.byte(at - 1).is_ascii_whitespace();
        match self.byte(at) {
            b'#' => free && at > from && self.byte(at + 1) == b' ',
            _ => self.byte(at + 1) == b'*' || (free && self.byte(at + 1) == b'/'),
        }
    }

    /// A quote ends bare text if a key begins there, or if it closes what nothing opened.
    fn quote_ends(&mut self, at: usize) -> bool {
        let Some(quote) = quote_at(self.rest(at)) else { return false };
        if self.key_in(quote.style, at + quote.len) {
            return true;
        }
        let next = self.after_blank(at + quote.len);
        let tight = !self.byte(at - 1).is_ascii_whitespace();
        let closes = next >= self.end || matches!(self.byte(next), b',' | b'}' | b']' | b')');
        tight && closes && b"\"`".contains(&self.byte(at)) || (closes && self.byte(at) >= 0x80)
    }

    /// What stands for a value that was never written.
    pub fn missing_value(&mut self, at: usize) -> Read<()> {
        self.fix(Fix::MissingValue, at)?;
        match self.options.missing {
            Missing::Null => self.tape.null(),
            Missing::Empty => self.tape.str(b""),
        }
        Ok(())
    }

    /// A tuple, a value in brackets, or the arguments of a call.
    pub fn paren(&mut self) -> Read<()> {
        let at = self.at;
        if !self.deeper()? {
            return Ok(());
        }
        let named = self.named_arguments(at + 1);
        if !named && !self.is_tuple(at) {
            self.at += 1;
            self.stack.push(Inside::Paren);
            let done = self.in_paren();
            self.stack.pop();
            return done;
        }
        self.fix(Fix::Tuple, at)?;
        if named { self.members_in(Inside::Paren) } else { self.items_in(Inside::Paren) }
    }

    fn in_paren(&mut self) -> Read<()> {
        self.blank()?;
        if self.peek() == b')' {
            self.at += 1;
            self.tape.null();
            return Ok(());
        }
        self.value(Role::Arg)?;
        self.blank()?;
        match self.peek() {
            b')' => self.at += 1,
            _ if self.over(self.at) => self.fix(Fix::MissingBracket, self.at)?,
            _ => {}
        }
        Ok(())
    }

    pub fn named_arguments(&mut self, at: usize) -> bool {
        let from = self.after_blank(at);
        let len = self.rest(from).iter().take(64).take_while(|b| is_word(**b)).count();
        let next = self.after_blank(from + len);
        len > 0
            && is_word_start(self.byte(from))
            && self.byte(next) == b'='
            && self.byte(next + 1) != b'='
    }

    /// A comma between the brackets makes a tuple.
    fn is_tuple(&mut self, at: usize) -> bool {
        let (mut here, mut depth) = (at, 0usize);
        let mut quote = 0u8;
        let tuple = loop {
            if here >= self.end || !self.spend(1) {
                break false;
            }
            let byte = self.byte(here);
            match byte {
                b'\\' => here += 1,
                _ if quote != 0 => quote = if byte == quote { 0 } else { quote },
                b'"' | b'\'' => quote = byte,
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' if depth <= 1 => break here == at + 1,
                b')' | b']' | b'}' => depth -= 1,
                b',' if depth == 1 => break true,
                _ => {}
            }
            here += 1;
        };
        // `callback()` has no argument; `()` is an empty tuple.
        tuple
    }
}

fn pair(open: u8, close: u8) -> bool {
    matches!((open, close), (b'{', b'}') | (b'[', b']') | (b'(', b')'))
}
