//! Where a string ends, when its quotes cannot be trusted.
//!
//! Every quote of the string's style is judged: it *ends* the string if what follows can only stand
//! behind a string (`follow.rs`); it *begins the next* one if a comma or line break is in front of
//! it and a key or item behind it, so that the string's own end is missing there; else it is *part*
//! of the text, though one that looks like an end is remembered in case no better one comes.

use super::fix::Fix;
use super::reader::{Inside, Read, Reader};
use super::string::{Quote, Role, Span, Style};

/// What a quote inside of a string may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    End,
    /// It looks like an end, but what follows does not fit.
    Likely,
    Part,
}

/// What is known about the string so far.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub role: Role,
    pub quote: Quote,
    /// First byte of the text.
    pub from: usize,
    /// Quotes passed so far.
    pub quotes: usize,
    /// A quote that opens something was passed, and none that closes it.
    pub open: bool,
    /// Brackets opened right in front of a quote that are still open.
    pub braces: usize,
    /// The last quote that looked like an end.
    pub likely: Option<(usize, usize)>,
}

impl Reader<'_> {
    /// The string whose first quote stands here.
    pub fn locate(&mut self, quote: Quote, role: Role) -> Read<Span> {
        if let Some(span) = self.multiple(quote, role)? {
            return Ok(span);
        }
        let from = self.at + quote.len;
        let mut seen = Seen { role, quote, from, quotes: 0, open: false, braces: 0, likely: None };
        let mut at = from;
        while let Some((to, len)) = self.next_quote(quote.style, at) {
            if let Some(span) = self.judge(&mut seen, at, to, len)? {
                return Ok(span);
            }
            at = to + len;
        }
        self.unterminated(&seen)
    }

    fn judge(&mut self, seen: &mut Seen, at: usize, to: usize, len: usize) -> Read<Option<Span>> {
        self.count_braces(seen, at, to);
        let follow = if self.fuel == 0 { Follow::End } else { self.follow(seen, to, to + len) };
        if follow == Follow::End {
            return self.ended(seen, to, to + len).map(Some);
        }
        if let Some(end) = self.next_begins(seen, to, to + len) {
            return self.missing(seen, end, to).map(Some);
        }
        self.passed(seen, to, len, follow);
        self.spend(to + len - at);
        Ok(None)
    }

    /// Brackets opened in front of a quote belong to a document inside of the string.
    fn count_braces(&self, seen: &mut Seen, at: usize, to: usize) {
        if seen.braces > 0 {
            let closed = self.part(at, to).iter().filter(|b| matches!(b, b'}' | b']')).count();
            seen.braces = seen.braces.saturating_sub(closed);
        }
        let opens = self.part(seen.from, to).ends_with(b"{");
        seen.braces += usize::from(opens);
    }

    fn passed(&mut self, seen: &mut Seen, to: usize, len: usize, follow: Follow) {
        seen.quotes += 1;
        if follow == Follow::Likely {
            seen.likely = Some((to, to + len));
        }
        let opens = self.looks_opening(seen.from, to, to + len);
        seen.open = opens || (seen.open && follow != Follow::Likely);
    }

    /// White space, a bracket or nothing in front of it, and a word behind it.
    pub fn looks_opening(&self, least: usize, to: usize, after: usize) -> bool {
        let before = if to > least { self.byte(to - 1) } else { b' ' };
        let behind = self.byte(after);
        let free = before.is_ascii_whitespace() || b"([{<=:,;-".contains(&before);
        free && !behind.is_ascii_whitespace() && !b",.;:!?)]}".contains(&behind) && behind != 0
    }

    fn ended(&mut self, seen: &Seen, to: usize, next: usize) -> Read<Span> {
        if seen.quotes > 0 {
            self.fix(Fix::UnescapedQuote, to)?;
        }
        Ok(Span { from: seen.from, to, next, closed: true })
    }

    /// The string's own end is missing: it ends at `end`, in front of the quote at `to`.
    fn missing(&mut self, seen: &Seen, end: usize, to: usize) -> Read<Span> {
        self.spend(to - end);
        if let Some((likely, next)) = seen.likely
            && seen.quotes == 1
        {
            return Ok(Span { from: seen.from, to: likely, next, closed: true });
        }
        self.fix(Fix::MissingQuote, end)?;
        let (to, _) = self.before_blank(end, seen.from);
        Ok(Span { from: seen.from, to: to.max(seen.from), next: end, closed: true })
    }

    /// Whether the quote at `to` begins the next string; gives where this one must have ended.
    fn next_begins(&mut self, seen: &Seen, to: usize, after: usize) -> Option<usize> {
        let (before, line) = self.before_blank(to, seen.from);
        let last = if before > seen.from { self.byte(before - 1) } else { 0 };
        match (seen.role, last) {
            (_, b'+') => Some(before - 1),
            (Role::Key, b':') => Some(before - 1),
            (Role::Key, b',') => self.colon_in_key(seen, to, after),
            (Role::Key, _) if line => self.colon_in_key(seen, to, after),
            (Role::Value | Role::Item, b',') => {
                let comma = before - 1;
                let key = self.key_in(seen.quote.style, after);
                let item = seen.role == Role::Item && self.item_in(seen.quote.style, after);
                match () {
                    () if key => self.closed_before(seen, comma),
                    () if item => Some(comma),
                    () => None,
                }
            }
            (Role::Value, _) if line => self.key_in(seen.quote.style, after).then_some(before),
            (Role::Item, _) if line => self.item_in(seen.quote.style, after).then_some(before),
            _ => None,
        }
    }

    /// Where a value ended that a key follows: in front of the bracket that closes its container,
    /// if there is one, else in front of the comma. An item is followed by a key in the first case
    /// only.
    fn closed_before(&mut self, seen: &Seen, comma: usize) -> Option<usize> {
        let (end, _) = self.before_blank(comma, seen.from);
        let text = self.part(seen.from, end);
        self.spend(text.len());
        let closes = match text.last() {
            Some(b'}') => !text.contains(&b'{'),
            Some(b']') => !text.contains(&b'['),
            _ => false,
        };
        match seen.role {
            _ if closes => Some(end - 1),
            Role::Item => None,
            _ => Some(comma),
        }
    }

    /// `{"a: 1, "b": 2}`: a key that runs into the next member ended at its colon.
    fn colon_in_key(&mut self, seen: &Seen, to: usize, after: usize) -> Option<usize> {
        let colon = memchr::memchr(b':', self.part(seen.from, to))?;
        self.spend(to - seen.from);
        self.key_in(seen.quote.style, after).then_some(seen.from + colon)
    }

    /// No quote ends the string.
    fn unterminated(&mut self, seen: &Seen) -> Read<Span> {
        if self.fuel == 0 {
            self.fix(Fix::TruncatedString, seen.from)?;
            return Ok(Span { from: seen.from, to: self.end, next: self.end, closed: false });
        }
        if let Some((to, next)) = seen.likely
            && (seen.quotes % 2 == 1 || seen.role == Role::Key)
        {
            self.spend(self.end - next);
            return self.ended(&Seen { quotes: seen.quotes - 1, ..*seen }, to, next);
        }
        let end = match seen.role {
            Role::Key => self.key_end(seen),
            _ => self.cut_off_end(seen),
        };
        self.spend(self.end.saturating_sub(end));
        let whole = self.part(end, self.end).trim_ascii().is_empty();
        self.fix(if whole { Fix::TruncatedString } else { Fix::MissingQuote }, seen.from)?;
        if seen.quotes > 0 {
            self.note(Fix::UnescapedQuote);
        }
        Ok(Span { from: seen.from, to: end, next: end, closed: !whole })
    }

    /// A key without its end stops at a colon: `{"key: 1}`.
    fn key_end(&self, seen: &Seen) -> usize {
        let rest = self.rest(seen.from);
        let colon = rest.iter().position(|b| matches!(b, b':' | b'\n'));
        let found = colon.filter(|n| rest.get(*n) == Some(&b':'));
        found.map_or_else(|| self.before_closers(seen.from), |n| seen.from + n)
    }

    /// A value without its end stops in front of the brackets and the fence that end the text. In
    /// an array that was closed, it stops at the first comma or line break.
    fn cut_off_end(&mut self, seen: &Seen) -> usize {
        let end = self.before_closers(seen.from);
        let closed = self.part(end, self.end).contains(&b']') && seen.role == Role::Item;
        if closed
            && seen.quotes == 0
            && let Some(n) = memchr::memchr2(b',', b'\n', self.part(seen.from, end))
        {
            return self.before_blank(seen.from + n, seen.from).0;
        }
        let kept = self.part(seen.from, end);
        match kept.strip_suffix(b"+") {
            Some(kept) if kept.ends_with(b" ") => seen.from + kept.trim_ascii_end().len(),
            _ => end,
        }
    }

    /// The end of the text without a fence and the brackets that close what is open.
    fn before_closers(&self, least: usize) -> usize {
        let mut text = self.part(least, self.end).trim_ascii_end();
        let mut end = least + text.len();
        while let Some(shorter) = text.strip_suffix(b"```") {
            text = shorter.trim_ascii_end();
            end = least + text.len();
        }
        let mut open = self.stack.iter();
        let mut surplus = |inside: Inside| open.any(|it| *it == inside);
        while let Some((last, shorter)) = text.split_last() {
            let (inside, opener) = match last {
                b'}' => (Inside::Object, b'{'),
                b']' => (Inside::Array, b'['),
                b')' => (Inside::Paren, b'('),
                _ => break,
            };
            let count = |byte: u8| text.iter().filter(|b| **b == byte).count();
            if count(*last) <= count(opener) || !surplus(inside) {
                break;
            }
            text = shorter.trim_ascii_end();
            end = least + text.len();
        }
        end
    }

    /// `""text""` and `"""text"""`.
    fn multiple(&mut self, quote: Quote, role: Role) -> Read<Option<Span>> {
        if quote.len != 1 || quote.style == Style::Backtick {
            return Ok(None);
        }
        let one = self.peek();
        let run = self.rest(self.at).iter().take_while(|b| **b == one).count();
        match run {
            3 => self.triple(one).map(Some),
            2 if self.doubled(role) => self.double(quote).map(Some),
            _ => Ok(None),
        }
    }

    fn triple(&mut self, one: u8) -> Read<Span> {
        self.fix(Fix::DoubledQuotes, self.at)?;
        let from = self.at + 3;
        let close = memchr::memmem::find(self.rest(from), &[one; 3]);
        Ok(match close {
            Some(n) => Span { from, to: from + n, next: from + n + 3, closed: true },
            None => {
                self.fix(Fix::TruncatedString, self.at)?;
                let to = self.before_closers(from);
                Span { from, to, next: to, closed: false }
            }
        })
    }

    /// Two quotes with a word behind them are one, not an empty string.
    fn doubled(&mut self, role: Role) -> bool {
        let behind = self.byte(self.at + 2);
        if role == Role::Key && behind == b' ' {
            let word = self.after_blank(self.at + 2);
            return self.byte(word).is_ascii_alphabetic();
        }
        behind.is_ascii_alphanumeric() || behind >= 0x80
    }

    fn double(&mut self, quote: Quote) -> Read<Span> {
        self.fix(Fix::DoubledQuotes, self.at)?;
        let from = self.at + 2;
        let one = self.peek();
        let Some((to, _)) = self.next_quote(quote.style, from) else {
            self.fix(Fix::TruncatedString, self.at)?;
            let to = self.before_closers(from);
            return Ok(Span { from, to, next: to, closed: false });
        };
        let next = to + if self.byte(to + 1) == one { 2 } else { 1 };
        Ok(Span { from, to, next, closed: true })
    }
}
