//! Texts whose document is no object or array: strings, calls, lists, lines of `key: value`.

use super::fix::Fix;
use super::reader::{Inside, Read, Reader, is_word, is_word_start};
use super::string::{Role, quote_at};
use super::word::{literal, number};
use super::{Found, Prose};

/// A way to read a whole text; `false` if it is no such text.
type Way<'r> = fn(&mut Reader<'r>) -> Read<bool>;

impl<'r> Reader<'r> {
    /// The whole text as a document of another kind, with a best effort.
    pub fn other(&mut self) -> Read<Option<Found>> {
        let ways: [Way<'r>; 7] = [
            Self::escaped_string,
            Self::open_members,
            Self::call,
            Self::list,
            Self::whole_string,
            Self::ended_string,
            Self::lines,
        ];
        self.one_of(&ways)
    }

    /// A call that is all of the text, whatever is in it: `Point(x=1, tags=["a"])`.
    pub fn call_first(&mut self) -> Read<Option<Found>> {
        let name = self.after_blank(self.at);
        let word = |b: &&u8| is_word(**b) || **b == b'.';
        let len = self.rest(name).iter().take(128).take_while(word).count();
        let text = self.text.trim_ascii_end();
        let text = text.strip_suffix(b";").unwrap_or(text);
        let whole = len > 0 && self.byte(name + len) == b'(' && text.ends_with(b")");
        if whole { self.one_of(&[Self::call]) } else { Ok(None) }
    }

    fn one_of(&mut self, ways: &[Way<'r>]) -> Read<Option<Found>> {
        let (from, nodes) = (self.at, self.tape.len());
        let noted = self.fixes.clone();
        for way in ways {
            self.at = self.after_blank(from);
            let start = self.at;
            if way(self)? {
                let fixes = self.fixes.clone();
                return Ok(Some(self.found_here(nodes, start, &fixes)));
            }
            self.tape.truncate(nodes);
            self.stack.clear();
            self.fixes.clone_from(&noted);
        }
        self.at = from;
        Ok(None)
    }

    fn found_here(&self, root: usize, start: usize, fixes: &[Fix]) -> Found {
        let names = fixes.iter().map(|fix| fix.name()).collect();
        let stop = self.at.min(self.text.len());
        Found { root, start, stop, fixes: names, warnings: Vec::new() }
    }

    /// Nothing but the end of a statement or a fence is left.
    fn finished(&mut self) -> bool {
        let next = self.after_blank(self.at);
        self.rest(next).iter().all(|b| b";`)".contains(b) || b.is_ascii_whitespace())
    }

    /// `\"text\"`.
    fn escaped_string(&mut self) -> Read<bool> {
        if !self.starts(self.at, "\\\"") {
            return Ok(false);
        }
        self.unescaped()?;
        Ok(self.finished())
    }

    /// `"a": 1, "b": 2}`: the first brace is missing.
    fn open_members(&mut self) -> Read<bool> {
        if quote_at(self.rest(self.at)).is_none() || !self.key_at(self.at) {
            return Ok(false);
        }
        self.fix(Fix::MissingOpening, self.at)?;
        let mark = self.tape.open_object();
        self.members(mark, 0, Inside::Object)?;
        Ok(true)
    }

    /// `callback(2);`, `(1, 2)`.
    fn call(&mut self) -> Read<bool> {
        let word = self.rest(self.at).iter().take(128).take_while(|b| is_word(**b) || **b == b'.');
        let open = self.after_blank(self.at + word.count());
        if self.byte(open) != b'(' || !self.closes_at_end() {
            return Ok(false);
        }
        if open > self.at {
            self.fix(Fix::Call, self.at)?;
        }
        self.at = open;
        let inner = self.after_blank(open + 1);
        let byte = self.byte(inner);
        let value = b"{[(-)".contains(&byte)
            || byte.is_ascii_digit()
            || quote_at(self.rest(inner)).is_some()
            || self.literal_at(inner)
            || self.named_arguments(open + 1);
        if !value {
            return Ok(false);
        }
        self.paren()?;
        Ok(self.finished())
    }

    fn closes_at_end(&self) -> bool {
        let text = self.text.trim_ascii_end();
        matches!(text.last(), Some(b')' | b';' | b'}' | b']'))
    }

    /// `1, 2, 3`, one a line, or a single value.
    fn list(&mut self) -> Read<bool> {
        let mark = self.tape.open_array();
        let (mut len, mut bare) = (0, false);
        while self.at < self.end {
            let from = self.at;
            match self.list_item()? {
                Some(word) => bare |= word,
                None => return Ok(false),
            }
            len += 1;
            if !self.list_separator()? || self.at == from {
                break;
            }
        }
        let spaces = self.text.trim_ascii().iter().any(|b| matches!(b, b' ' | b'\t'));
        if !self.finished() || len == 0 || (bare && (spaces || len == 1)) {
            return Ok(false);
        }
        if len > 1 {
            self.fix(Fix::MissingOpening, self.at)?;
            self.tape.close(mark, len);
            return Ok(true);
        }
        self.single(mark.position())
    }

    /// A list of one is that one.
    fn single(&mut self, at: usize) -> Read<bool> {
        self.tape.truncate(at);
        self.at = self.after_blank(0);
        if self.starts(0, "\u{FEFF}") {
            self.at = self.after_blank(3);
        }
        Ok(self.list_item()?.is_some())
    }

    /// A scalar; whether it is a bare word.
    fn list_item(&mut self) -> Read<Option<bool>> {
        self.blank()?;
        let from = self.at;
        if quote_at(self.rest(from)).is_some() {
            self.quoted(Role::Top)?;
            let empty = self.word.is_empty() && self.fixes.contains(&Fix::TruncatedString);
            return Ok((!empty || self.options.prose() == Prose::String).then_some(false));
        }
        let inner = |b: &&u8| !b.is_ascii_whitespace() && !b",;\"'`".contains(b);
        let len = self.rest(from).iter().take_while(inner).count();
        let token = self.part(from, from + len);
        if number(token).is_some() || literal(token).is_some() {
            self.bare(Role::Top)?;
            return Ok((self.at == from + len).then_some(false));
        }
        let word = !token.is_empty() && token.iter().all(|b| is_word(*b));
        if !word || !is_word_start(token[0]) {
            return Ok(None);
        }
        self.fix(Fix::UnquotedString, from)?;
        self.at = from + len;
        self.push_text(from, self.at)?;
        Ok(Some(true))
    }

    /// A comma or a line break with another item behind it.
    fn list_separator(&mut self) -> Read<bool> {
        let from = self.at;
        self.blank()?;
        let line = self.part(from, self.at).contains(&b'\n');
        if self.peek() == b',' {
            self.at += 1;
            self.blank()?;
            if self.at >= self.end {
                self.fix(Fix::Comma, from)?;
            }
            return Ok(true);
        }
        Ok(line)
    }

    /// `"text` with whatever is wrong with its quotes.
    fn whole_string(&mut self) -> Read<bool> {
        if quote_at(self.rest(self.at)).is_none() {
            return Ok(false);
        }
        self.quoted(Role::Top)?;
        Ok(self.finished() && !self.word.is_empty())
    }

    /// `text"`: only the quote at the end is there.
    fn ended_string(&mut self) -> Read<bool> {
        let text = self.rest(self.at).trim_ascii_end();
        let body = text.strip_suffix(b"\"").filter(|body| !body.contains(&b'"'));
        let Some(body) = body.filter(|body| !body.is_empty()) else { return Ok(false) };
        self.fix(Fix::MissingQuote, self.at)?;
        let from = self.at;
        self.at += text.len();
        self.push_text(from, from + body.len())?;
        Ok(self.options.prose() == Prose::String)
    }

    /// Two or more lines of `key: value`, and nothing else.
    fn lines(&mut self) -> Read<bool> {
        let mark = self.tape.open_object();
        let mut len = 0;
        let end = self.end;
        while self.at < end {
            let rest = self.rest(self.at);
            let stop = self.at + memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            if !self.part(self.at, stop).trim_ascii().is_empty() {
                if !self.line(stop)? {
                    self.end = end;
                    return Ok(false);
                }
                len += 1;
            }
            self.at = stop + 1;
        }
        self.at = end;
        self.tape.close(mark, len);
        if len > 1 {
            self.fix(Fix::Lines, self.at)?;
        }
        Ok(len > 1)
    }

    fn line(&mut self, stop: usize) -> Read<bool> {
        let line = self.part(self.at, stop);
        let Some(colon) = line.iter().position(|b| matches!(b, b':' | b'=')) else {
            return Ok(false);
        };
        let key = line[..colon].trim_ascii();
        let key = key.strip_prefix(b"- ").or(key.strip_prefix(b"* ")).unwrap_or(key);
        let key = unquoted(key.trim_ascii());
        let words = key.split(|b| *b == b' ').count();
        let plain = |b: &u8| is_word(*b) || matches!(b, b' ' | b'.');
        if key.is_empty() || words > 3 || !key.iter().all(plain) {
            return Ok(false);
        }
        self.tape.str(String::from_utf8_lossy(key).as_bytes());
        let end = std::mem::replace(&mut self.end, stop);
        self.at += colon + 1;
        let done = self.line_value(stop);
        self.end = end;
        done.map(|()| true)
    }

    /// What a line says behind its colon: a value if it is one as a whole, else text.
    fn line_value(&mut self, stop: usize) -> Read<()> {
        self.blank()?;
        let (from, nodes) = (self.at, self.tape.len());
        if self.at >= stop {
            return self.missing_value(from);
        }
        let fixes = self.fixes.clone();
        let done = self.value(Role::Value);
        self.blank()?;
        if self.peek() == b',' {
            self.at += 1;
            self.blank()?;
        }
        if done.is_err() || self.at < stop {
            self.tape.truncate(nodes);
            self.stack.clear();
            self.fixes = fixes;
            let text = self.part(from, stop).trim_ascii_end();
            return self.push_text(from, from + text.len());
        }
        Ok(())
    }
}

/// A key without the quotes or asterisks around it.
fn unquoted(key: &[u8]) -> &[u8] {
    let marks = |b: &u8| b"\"'`*".contains(b);
    let from = key.iter().take_while(|b| marks(b)).count();
    let back = key[from..].iter().rev().take_while(|b| marks(b)).count();
    &key[from..key.len() - back]
}
