//! Whether what stands behind a quote can stand behind a string.

use super::quote::{Follow, Seen};
use super::reader::{Inside, Reader, is_word, is_word_start};
use super::string::{Role, Style, quote_at};

/// Longest key that is looked for ahead.
const KEY: usize = 128;

impl Reader<'_> {
    /// What the quote from `to` to `after` is to the string.
    pub fn follow(&mut self, seen: &Seen, to: usize, after: usize) -> Follow {
        let next = self.after_blank(after);
        if next >= self.end || self.ends_with_fence(next) {
            return Follow::End;
        }
        let line = self.part(after, next).contains(&b'\n');
        let fits = match seen.role {
            Role::Key => self.after_key(seen, next),
            Role::Value => self.after_value(seen, next, line),
            Role::Item => self.after_item(seen, after, next, line),
            Role::Arg => self.after_arg(next),
            Role::Top => self.after_top(seen, next, line),
        };
        if fits || self.concatenates(next) {
            return Follow::End;
        }
        let opening = self.looks_opening(seen.from, to, after);
        if opening || is_word_start(self.byte(after)) { Follow::Part } else { Follow::Likely }
    }

    fn ends_with_fence(&self, at: usize) -> bool {
        self.starts(at, "```") && self.rest(at + 3).iter().all(|b| b.is_ascii_whitespace())
    }

    fn concatenates(&mut self, at: usize) -> bool {
        self.byte(at) == b'+' && {
            let next = self.after_blank(at + 1);
            next >= self.end || quote_at(self.rest(next)).is_some()
        }
    }

    fn after_key(&mut self, seen: &Seen, next: usize) -> bool {
        match self.byte(next) {
            b':' => true,
            b'=' => self.byte(next + 1) != b'=',
            _ if seen.quotes > 0 => false,
            b'{' | b'[' | b'0'..=b'9' => true,
            b',' | b'}' => true,
            _ if quote_at(self.rest(next)).is_some() => {
                !matches!(self.byte(next + 1), b':' | b',' | b'}')
            }
            _ => self.literal_at(next),
        }
    }

    fn after_value(&mut self, seen: &Seen, next: usize, line: bool) -> bool {
        match self.byte(next) {
            b'}' if seen.braces > 0 => false,
            b'}' => self.after_brace(next + 1),
            b']' => self.within(Inside::Array),
            b')' => self.within(Inside::Paren) && !seen.open,
            b',' | b';' => self.after_comma(seen, next + 1),
            _ if line && self.key_at(next) => true,
            _ => match quote_at(self.rest(next)) {
                Some(quote) => self.key_in(quote.style, next + quote.len),
                None => false,
            },
        }
    }

    /// A closing brace is one of ours unless prose goes on behind it.
    fn after_brace(&mut self, at: usize) -> bool {
        let next = self.after_blank(at);
        let fits = b",}];)`\"'{[:".contains(&self.byte(next));
        next >= self.end || fits || self.stack.len() <= 1
    }

    fn after_comma(&mut self, seen: &Seen, at: usize) -> bool {
        let next = self.after_blank(at);
        match self.byte(next) {
            _ if next >= self.end => true,
            b'}' => seen.braces == 0,
            b']' | b'{' => self.within(Inside::Array) && seen.braces == 0,
            b'[' => !seen.open,
            b',' | b'`' => true,
            b'.' => self.starts(next, "..."),
            _ if seen.quotes == 0 && quote_at(self.rest(next)).is_some() => true,
            _ => self.key_at(next) || self.key_after_words(next),
        }
    }

    fn after_item(&mut self, seen: &Seen, after: usize, next: usize, line: bool) -> bool {
        match self.byte(next) {
            b']' => seen.braces == 0,
            b'}' => self.within(Inside::Object) && seen.braces == 0,
            b')' => self.within(Inside::Paren) && !self.innermost(Inside::Array),
            b',' | b';' => (seen.quotes == 0 && !seen.open) || self.item_after_comma(next + 1),
            b':' => seen.quotes == 0,
            b'{' | b'[' | b'0'..=b'9' => !seen.open && next > after,
            _ if quote_at(self.rest(next)).is_some() => {
                let behind = self.byte(next + 1);
                line || (!seen.open && !b",] ".contains(&behind))
            }
            _ => self.lone_word(seen, after, next),
        }
    }

    /// `"a" b`: a quoted word in front of a bare one.
    fn lone_word(&mut self, seen: &Seen, after: usize, next: usize) -> bool {
        let first = next > after && seen.quotes == 0;
        first && !self.part(seen.from, after).contains(&b' ')
    }

    fn innermost(&self, inside: Inside) -> bool {
        self.stack.last() == Some(&inside)
    }

    fn item_after_comma(&mut self, at: usize) -> bool {
        let next = self.after_blank(at);
        let byte = self.byte(next);
        next >= self.end
            || b"]{[-,}".contains(&byte)
            || byte.is_ascii_digit()
            || quote_at(self.rest(next)).is_some()
            || self.starts(next, "...")
            || self.literal_at(next)
    }

    fn after_arg(&mut self, next: usize) -> bool {
        matches!(self.byte(next), b')' | b',' | b':' | b']' | b'}')
    }

    fn after_top(&mut self, seen: &Seen, next: usize, line: bool) -> bool {
        match self.byte(next) {
            b':' | b';' => seen.quotes == 0,
            b',' => seen.quotes == 0 && self.item_after_comma(next + 1),
            b'`' => self.starts(next, "```"),
            _ => line && seen.quotes == 0 && quote_at(self.rest(next)).is_some(),
        }
    }

    /// A key and its colon, with quotes or without.
    pub fn key_at(&mut self, at: usize) -> bool {
        match quote_at(self.rest(at)) {
            Some(quote) => self.key_in(quote.style, at + quote.len),
            None => self.bare_key_at(at),
        }
    }

    /// `text":`, the rest of a key behind its first quote.
    pub fn key_in(&mut self, style: Style, at: usize) -> bool {
        match self.short_string(style, at) {
            Some(next) => self.byte(next) == b':' || self.starts(next, "=>"),
            None => false,
        }
    }

    /// `text",`, the rest of an item behind its first quote.
    pub fn item_in(&mut self, style: Style, at: usize) -> bool {
        let Some(next) = self.short_string(style, at) else { return false };
        let empty = style.closes(self.rest(at)) > 0;
        !empty && (next >= self.end || matches!(self.byte(next), b',' | b']'))
    }

    /// What follows a short string on one line.
    fn short_string(&mut self, style: Style, at: usize) -> Option<usize> {
        let limit = (at + KEY).min(self.end);
        let mut here = at;
        let found = loop {
            if here >= limit || self.byte(here) == b'\n' {
                break None;
            }
            match style.closes(self.part(here, limit)) {
                0 => here += if self.byte(here) == b'\\' { 2 } else { 1 },
                len => break Some(here + len),
            }
        };
        self.spend(here - at);
        found.map(|next| self.after_blank(next))
    }

    pub fn bare_key_at(&mut self, at: usize) -> bool {
        let limit = (at + KEY).min(self.end);
        let rest = self.text.get(at..limit).unwrap_or_default();
        if !rest.first().is_some_and(|b| is_word_start(*b) || b.is_ascii_digit()) {
            return false;
        }
        let len = rest.iter().take_while(|b| is_word(**b) || **b == b'.').count();
        self.spend(len);
        let stray = quote_at(self.rest(at + len)).map_or(0, |quote| quote.len);
        let next = self.after_blank(at + len + stray);
        let named = self.innermost(Inside::Paren) && self.byte(next) == b'=';
        (named || self.byte(next) == b':') && !self.starts(next, "://") && !self.starts(next, "::")
    }

    /// Words, and then a quoted key: `COMMENT "key":`.
    pub fn key_after_words(&mut self, at: usize) -> bool {
        let limit = (at + KEY / 2).min(self.end);
        let rest = self.text.get(at..limit).unwrap_or_default();
        let len = rest.iter().take_while(|b| is_word(**b) || matches!(b, b' ' | b'.')).count();
        self.spend(len);
        let quote = quote_at(self.rest(at + len)).filter(|_| len > 0);
        quote.is_some_and(|quote| self.key_in(quote.style, at + len + quote.len))
    }

    /// `true`, `None` and their like, as a whole word.
    pub fn literal_at(&self, at: usize) -> bool {
        let rest = self.rest(at);
        let len = rest.iter().take(16).take_while(|b| is_word(**b)).count();
        super::word::literal(&rest[..len]).is_some()
    }
}
