//! Values, objects and arrays.

use super::DEEPEST;
use super::fix::Fix;
use super::reader::{Inside, Read, Reader, Stop, Wrong, is_word, is_word_start};
use super::string::{Role, quote_at};
use crate::value::tape::Mark;

/// A container just closed, which members behind it may still belong to.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    pub mark: Mark,
    pub len: usize,
}

impl Reader<'_> {
    /// One value onto the tape.
    pub fn value(&mut self, role: Role) -> Read<()> {
        match self.peek() {
            b'{' => self.members_in(Inside::Object),
            b'[' => self.items_in(Inside::Array),
            b'(' if self.best() => self.paren(),
            b'\\' if self.best() && quote_at(self.rest(self.at + 1)).is_some() => {
                self.fix(Fix::Escaped, self.at)?;
                self.at += 1;
                self.quoted(role)
            }
            _ if self.over(self.at) => self.missing_value(self.at),
            b'}' | b']' | b',' | b')' => self.missing_value(self.at),
            _ if quote_at(self.rest(self.at)).is_some() => self.quoted(role),
            _ => self.bare(role),
        }
    }

    /// A string, and those joined to it.
    pub fn quoted(&mut self, role: Role) -> Read<()> {
        if role == Role::Value && self.best() && !self.embedded && self.embedded()? {
            return Ok(());
        }
        self.string(role)?;
        let mut whole = std::mem::take(&mut self.word);
        while self.best() && self.joined()? {
            self.string(role)?;
            whole.extend_from_slice(&self.word);
        }
        self.tape.str(&whole);
        self.word = whole;
        Ok(())
    }

    /// Skips `+` in front of another string.
    fn joined(&mut self) -> Read<bool> {
        let plus = self.after_blank(self.at);
        if self.byte(plus) != b'+' {
            return Ok(false);
        }
        self.fix(Fix::Concatenation, plus)?;
        self.at = plus + 1;
        self.blank()?;
        Ok(quote_at(self.rest(self.at)).is_some())
    }

    /// A fenced document in quotes that was not escaped: "```json {"a": 1}```".
    fn embedded(&mut self) -> Read<bool> {
        let from = self.at;
        let fence = self.after_blank(from + 1);
        if !self.starts(fence, "```json") {
            return Ok(false);
        }
        let inner = self.after_blank(fence + 7);
        if !matches!(self.byte(inner), b'{' | b'[') || !self.spend(64) {
            return Ok(false);
        }
        let (nodes, fixes) = (self.tape.len(), self.fixes.clone());
        self.at = inner;
        self.embedded = true;
        let read = self.value(Role::Value).is_ok();
        self.embedded = false;
        let end = self.after_blank(self.at);
        let close = if self.starts(end, "```") { self.after_blank(end + 3) } else { 0 };
        if read && close > 0 && self.byte(close) == self.byte(from) {
            self.at = close + 1;
            self.note(Fix::Embedded);
            return Ok(true);
        }
        self.spend(self.at - from);
        self.tape.truncate(nodes);
        (self.at, self.fixes) = (from, fixes);
        Ok(false)
    }

    /// Whether one more container may be opened. Beyond the limit a best effort leaves it out.
    pub fn deeper(&mut self) -> Read<bool> {
        let limit = self.options.max_depth.min(DEEPEST);
        if self.stack.len() < limit {
            return Ok(true);
        }
        if !self.best() {
            let wrong = Wrong::TooDeep(limit);
            return Err(Stop { at: self.at, wrong });
        }
        self.fix(Fix::Depth, self.at)?;
        self.skip_container();
        self.tape.null();
        Ok(false)
    }

    /// Steps over a container by its brackets.
    fn skip_container(&mut self) {
        let (mut depth, mut quote) = (0usize, false);
        while self.at < self.end {
            match self.peek() {
                b'\\' => self.at += 1,
                b'"' => quote = !quote,
                _ if quote => {}
                b'{' | b'[' | b'(' => depth += 1,
                b'}' | b']' | b')' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                break;
            }
        }
        self.at = self.at.min(self.end);
    }

    /// An object, a set, or the named arguments of a call.
    pub fn members_in(&mut self, inside: Inside) -> Read<()> {
        if !self.deeper()? {
            return Ok(());
        }
        self.at += 1;
        if inside == Inside::Object && self.best() && self.is_set()? {
            self.fix(Fix::Tuple, self.at)?;
            return self.items_until(Inside::Object);
        }
        let mark = self.tape.open_object();
        self.members(mark, 0, inside)?;
        Ok(())
    }

    /// Members up to the closing bracket; gives how many the object has then.
    pub fn members(&mut self, mark: Mark, mut len: usize, inside: Inside) -> Read<usize> {
        self.stack.push(inside);
        let mut state = Between { comma: true, first: len == 0, ..Between::default() };
        loop {
            self.blank()?;
            let from = self.at;
            match self.ends(inside, &state)? {
                Some(true) => break,
                Some(false) => continue,
                None => {}
            }
            if self.separator(&mut state)? || self.noise(&mut state)? {
                continue;
            }
            if self.member(&mut state)? {
                len += 1;
            }
            state.first = false;
            self.pass_over(from)?;
        }
        Ok(self.close(mark, len))
    }

    /// Whatever stands at `from`, if it was not read, is neither member nor item.
    fn pass_over(&mut self, from: usize) -> Read<()> {
        if self.at == from {
            self.fix(Fix::ExtraText, from)?;
            self.at += 1;
        }
        Ok(())
    }

    /// Ends the innermost container; gives how many it has.
    fn close(&mut self, mark: Mark, len: usize) -> usize {
        self.stack.pop();
        self.tape.close(mark, len);
        len
    }

    /// The closing bracket, the end of the text, or a bracket that closes something further out.
    /// `Some(false)`: a bracket that closes nothing was passed.
    fn ends(&mut self, inside: Inside, state: &Between) -> Read<Option<bool>> {
        let byte = self.peek();
        if self.over(self.at) || self.next_object_begins(inside, state) {
            self.trailing(state)?;
            return self.fix(Fix::MissingBracket, self.at).map(|()| Some(true));
        }
        if byte == inside.closer() {
            self.trailing(state)?;
            self.at += 1;
            return self.close_twice(state, byte).map(|()| Some(true));
        }
        if !matches!(byte, b'}' | b']' | b')') {
            return Ok(None);
        }
        if self.stack.iter().any(|it| it.closer() == byte) {
            self.trailing(state)?;
            return self.fix(Fix::MissingBracket, self.at).map(|()| Some(true));
        }
        self.fix(Fix::ExtraBracket, self.at)?;
        self.at += 1;
        Ok(Some(false))
    }

    /// `[{"n": 1, {"n": 2}]`: the first object was not closed.
    fn next_object_begins(&mut self, inside: Inside, state: &Between) -> bool {
        self.peek() == b'{'
            && self.best()
            && inside == Inside::Object
            && !state.first
            && self.outer() == Some(Inside::Array)
    }

    /// `{{ … }}`: the second bracket at the end goes with the second one at the start.
    fn close_twice(&mut self, state: &Between, closer: u8) -> Read<()> {
        for _ in 0..state.doubled {
            let next = self.after_blank(self.at);
            if self.byte(next) != closer {
                break;
            }
            self.at = next + 1;
        }
        Ok(())
    }

    fn trailing(&mut self, state: &Between) -> Read<()> {
        if state.comma && !state.first { self.fix(Fix::Comma, self.at) } else { Ok(()) }
    }

    /// A comma, or what stands for one.
    fn separator(&mut self, state: &mut Between) -> Read<bool> {
        match self.peek() {
            b',' if state.comma => {
                self.fix(if state.first { Fix::Comma } else { Fix::ExtraComma }, self.at)?
            }
            b',' => {}
            b';' if self.best() => self.fix(Fix::ExtraComma, self.at)?,
            _ => return Ok(false),
        }
        self.at += 1;
        state.comma = true;
        Ok(true)
    }

    /// What is neither member nor end: an ellipsis, a stray bracket, items of the last array.
    fn noise(&mut self, state: &mut Between) -> Read<bool> {
        if self.ellipsis()? {
            state.comma |= self.peek() != b',';
            return Ok(true);
        }
        match self.peek() {
            b'[' if self.best() => self.more_items(state)?,
            b'{' if self.best() => {
                self.fix(Fix::ExtraBracket, self.at)?;
                self.at += 1;
                state.doubled += usize::from(state.first);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The container around the innermost one.
    fn outer(&self) -> Option<Inside> {
        self.stack.len().checked_sub(2).and_then(|n| self.stack.get(n).copied())
    }

    /// `"a": [1], [2]`: a second array belongs to the first.
    fn more_items(&mut self, state: &mut Between) -> Read<()> {
        let Some(last) = state.last_array else {
            self.fix(Fix::ExtraBracket, self.at)?;
            self.at += 1;
            return Ok(());
        };
        self.fix(Fix::Merged, self.at)?;
        self.at += 1;
        let len = self.items(last.mark, last.len, Inside::Array)?;
        state.last_array = Some(Closed { len, ..last });
        state.comma = false;
        Ok(())
    }

    /// `...` where something was left out.
    fn ellipsis(&mut self) -> Read<bool> {
        let len = if self.starts(self.at, "...") || self.starts(self.at, "…") { 3 } else { 0 };
        let next = self.byte(self.at + len);
        if len == 0 || !self.best() || is_word(next) {
            return Ok(false);
        }
        self.fix(Fix::Ellipsis, self.at)?;
        self.at += len;
        self.blank()?;
        if self.peek() == b',' {
            self.at += 1;
        }
        Ok(true)
    }

    /// A key and its value; `false` if what stands here is no member.
    fn member(&mut self, state: &mut Between) -> Read<bool> {
        let at = self.at;
        if !state.comma && !self.best() {
            return Err(self.expected("a comma or a closing bracket"));
        }
        if !self.key(state)? {
            return Ok(false);
        }
        if !state.comma {
            self.fix(Fix::MissingComma, at)?;
        }
        if self.another_key()? {
            if self.word.is_empty() {
                return Ok(false);
            }
            self.push_word();
            self.missing_value(self.at)?;
            state.comma = false;
            return Ok(true);
        }
        self.push_word();
        let node = self.tape.len();
        self.member_value()?;
        state.comma = false;
        state.last_array = self.array_at(node);
        Ok(true)
    }

    fn push_word(&mut self) {
        let word = std::mem::take(&mut self.word);
        self.tape.str(&word);
        self.word = word;
    }

    /// A second quoted key right behind the first: `"" "a": 1`.
    fn another_key(&mut self) -> Read<bool> {
        if !self.best() {
            return Ok(false);
        }
        let next = self.after_blank(self.at);
        let another = quote_at(self.rest(next)).is_some() && self.key_at(next);
        if another {
            self.fix(Fix::ExtraText, self.at)?;
        }
        Ok(another)
    }

    /// The array that was just written, so that more can be added to it.
    fn array_at(&self, node: usize) -> Option<Closed> {
        let value = self.tape.at(node)?;
        let array = value.kind() == crate::value::Kind::Array;
        array.then(|| Closed { mark: Mark::at(node), len: value.len() })
    }

    /// A key into `word`.
    fn key(&mut self, state: &Between) -> Read<bool> {
        if self.peek() == b'\\' && quote_at(self.rest(self.at + 1)).is_some() && self.best() {
            self.fix(Fix::Escaped, self.at)?;
            self.at += 1;
        }
        if quote_at(self.rest(self.at)).is_some() {
            return self.string(Role::Key);
        }
        self.bare_key(state)
    }

    fn bare_key(&mut self, state: &Between) -> Read<bool> {
        let from = self.at;
        let len = self.key_length(from);
        let text = self.part(from, from + len).trim_ascii_end();
        let plain = !text.is_empty() && text.iter().all(|b| is_word(*b) || *b == b'.');
        if !plain && !self.best() {
            return Err(self.expected("a key"));
        }
        self.at = from + len;
        let next = self.after_blank(self.at);
        let colon = matches!(self.byte(next), b':' | b'=');
        if !colon && !self.closes_key(next)? && !self.stands_as_key(state, next, text) {
            if !self.best() {
                return Err(self.expected("a colon"));
            }
            // Words that are no key: `"a": 1, NOTE "b": 2`.
            self.fix(Fix::ExtraText, from)?;
            self.at = self.at.max(from + usize::from(len == 0));
            return Ok(false);
        }
        self.fix(Fix::UnquotedKey, from)?;
        self.word.clear();
        self.word.extend_from_slice(String::from_utf8_lossy(text).as_bytes());
        if let Some(quote) = quote_at(self.rest(self.at)).filter(|_| self.quote_before_colon()) {
            self.fix(Fix::MissingQuote, self.at)?;
            self.at += quote.len;
        }
        Ok(true)
    }

    /// Up to a quote or a character that has a meaning of its own.
    fn key_length(&self, from: usize) -> usize {
        let rest = self.rest(from);
        let ends =
            |at: usize, b: u8| b"\n\r:=,{}[]();".contains(&b) || quote_at(&rest[at..]).is_some();
        rest.iter().enumerate().position(|(at, b)| ends(at, *b)).unwrap_or(rest.len())
    }

    fn quote_before_colon(&mut self) -> bool {
        let Some(quote) = quote_at(self.rest(self.at)) else { return false };
        let next = self.after_blank(self.at + quote.len);
        self.byte(next) == b':'
    }

    /// `key": 1`: the quote at the end of a key that has none in front.
    fn closes_key(&mut self, _next: usize) -> Read<bool> {
        Ok(self.best() && self.quote_before_colon())
    }

    /// Whether a word without a colon is a key all the same.
    fn stands_as_key(&mut self, state: &Between, next: usize, text: &[u8]) -> bool {
        if !self.best() || text.is_empty() {
            return false;
        }
        match self.byte(next) {
            _ if next >= self.end => state.comma,
            b'}' | b',' => state.comma,
            b'{' | b'[' => true,
            _ => match quote_at(self.rest(next)) {
                Some(quote) => !self.key_in(quote.style, next + quote.len),
                None => false,
            },
        }
    }

    fn member_value(&mut self) -> Read<()> {
        self.blank()?;
        match self.peek() {
            b':' => self.at += 1,
            b'=' if self.best() => {
                self.fix(Fix::MissingColon, self.at)?;
                self.at += if self.byte(self.at + 1) == b'>' { 2 } else { 1 };
            }
            b',' if self.comma_for_colon() => {
                self.fix(Fix::MissingColon, self.at)?;
                self.at += 1;
            }
            b'}' | b',' | b']' | b')' => return self.missing_value(self.at),
            _ if self.over(self.at) => return self.missing_value(self.at),
            _ if self.best() => self.fix(Fix::MissingColon, self.at)?,
            _ => return Err(self.expected("a colon")),
        }
        self.value_after_colon()
    }

    /// `{"n", 1}`: a comma in the colon's place, with what can only be a value behind it.
    fn comma_for_colon(&mut self) -> bool {
        let next = self.after_blank(self.at + 1);
        let byte = self.byte(next);
        let value = matches!(byte, b'{' | b'[' | b'-') || byte.is_ascii_digit();
        self.best() && (value || self.literal_at(next)) && !self.key_at(next)
    }

    fn value_after_colon(&mut self) -> Read<()> {
        while self.blank_value()? {}
        self.value(Role::Value)
    }

    /// Skips blanks, and colons too many; a `#` right in front of a word is part of a value.
    fn blank_value(&mut self) -> Read<bool> {
        loop {
            let here = self.at;
            while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') && self.at < self.end {
                self.at += 1;
            }
            let word = self.peek() == b'#' && is_word_start(self.byte(self.at + 1))
                || self.peek() == b'#' && self.byte(self.at + 1).is_ascii_digit();
            if word && self.best() {
                return Ok(false);
            }
            if self.at == here {
                break;
            }
        }
        self.blank()?;
        if self.peek() == b':' && self.best() {
            self.fix(Fix::ExtraText, self.at)?;
            self.at += 1;
            return Ok(true);
        }
        Ok(false)
    }

    /// Two strings with a comma in between and no colon: a set.
    fn is_set(&mut self) -> Read<bool> {
        let first = self.after_blank(self.at);
        let Some(next) = self.plain_item(first) else { return Ok(false) };
        if self.byte(next) != b',' {
            return Ok(false);
        }
        let second = self.after_blank(next + 1);
        if quote_at(self.rest(first)).is_some() != quote_at(self.rest(second)).is_some() {
            return Ok(false);
        }
        let Some(next) = self.plain_item(second) else { return Ok(false) };
        Ok(matches!(self.byte(next), b',' | b'}'))
    }

    /// What follows a short string or number.
    fn plain_item(&mut self, at: usize) -> Option<usize> {
        if let Some(quote) = quote_at(self.rest(at)) {
            let (to, len) = self.next_quote(quote.style, at + quote.len)?;
            return self.spend(to - at).then(|| self.after_blank(to + len));
        }
        let digits = |b: &&u8| b.is_ascii_digit() || matches!(b, b'.' | b'-');
        let len = self.rest(at).iter().take(32).take_while(digits).count();
        (len > 0).then(|| self.after_blank(at + len))
    }

    /// An array or a tuple.
    pub fn items_in(&mut self, inside: Inside) -> Read<()> {
        if !self.deeper()? {
            return Ok(());
        }
        self.at += 1;
        self.items_until(inside)
    }

    fn items_until(&mut self, inside: Inside) -> Read<()> {
        let mark = self.tape.open_array();
        self.items(mark, 0, inside)?;
        Ok(())
    }

    /// Items up to the closing bracket; gives how many the array has then.
    pub fn items(&mut self, mark: Mark, mut len: usize, inside: Inside) -> Read<usize> {
        self.stack.push(inside);
        let mut state = Between { comma: true, first: true, ..Between::default() };
        loop {
            self.blank()?;
            let from = self.at;
            match self.ends(inside, &state)? {
                Some(true) => break,
                Some(false) => continue,
                None => {}
            }
            if self.separator(&mut state)? {
                continue;
            }
            if self.ellipsis()? {
                state.comma = true;
                state.first = true;
                continue;
            }
            if len > 0 && self.row_begins(&state, inside)? {
                len += 1;
                continue;
            }
            len += usize::from(self.item(&mut state, inside)?);
            state.first = false;
            self.pass_over(from)?;
        }
        Ok(self.close(mark, len))
    }

    /// One item; `false` if it went into the item before.
    fn item(&mut self, state: &mut Between, inside: Inside) -> Read<bool> {
        let (at, node) = (self.at, self.tape.len());
        if !state.comma && !self.best() {
            return Err(self.expected("a comma or a closing bracket"));
        }
        if !state.comma {
            self.note(Fix::MissingComma);
        }
        state.comma = false;
        let role = if inside == Inside::Paren { Role::Arg } else { Role::Item };
        if role == Role::Item && self.best() && is_word_start(self.peek()) && self.bare_key_at(at) {
            return self.members_in_array(state, node, at);
        }
        if self.only_begun(at) {
            self.fix(Fix::TruncatedLiteral, at)?;
            self.at = self.end;
            return Ok(false);
        }
        self.value(role)?;
        state.last_array = self.array_at(node);
        let next = self.after_blank(self.at);
        if self.byte(next) == b':' && self.best() {
            return self.members_in_array(state, node, at);
        }
        state.last_object = self.object_at(node);
        Ok(true)
    }

    /// The text ends right behind the first character of an item.
    fn only_begun(&mut self, at: usize) -> bool {
        let begins = self.best() && matches!(self.byte(at), b'"' | b'\'' | b'-');
        begins && self.after_blank(at + 1) >= self.end
    }

    /// `[[1, 2], 3, 4], [5, 6]]`: a row among rows without its bracket.
    fn row_begins(&mut self, state: &Between, inside: Inside) -> Read<bool> {
        let scalar = !matches!(self.peek(), b'[' | b'{' | b'(');
        let rows = state.last_array.is_some() && inside == Inside::Array && self.best();
        let width = state.last_array.map_or(0, |last| last.len);
        if !rows || !scalar || !state.comma || !self.row_ends_here(width) {
            return Ok(false);
        }
        self.fix(Fix::MissingOpening, self.at)?;
        self.items_until(Inside::Array)?;
        Ok(true)
    }

    /// As many scalars as the row in front has, a bracket, and then the next row.
    fn row_ends_here(&mut self, width: usize) -> bool {
        let (mut at, mut commas) = (self.at, 0);
        while at < self.end && self.spend(1) {
            match self.byte(at) {
                b']' => {
                    let comma = self.after_blank(at + 1);
                    let next = self.after_blank(comma + 1);
                    let follows = self.byte(comma) == b',' && self.byte(next) == b'[';
                    return follows && commas + 1 == width;
                }
                b',' => (at, commas) = (at + 1, commas + 1),
                b'[' | b'{' | b'}' | b':' => return false,
                b'"' => match self.next_quote(super::string::Style::Double, at + 1) {
                    Some((to, len)) if self.spend(to - at) => at = to + len,
                    _ => return false,
                },
                _ => at += 1,
            }
        }
        false
    }

    fn object_at(&self, node: usize) -> Option<Closed> {
        let value = self.tape.at(node)?;
        let object = value.kind() == crate::value::Kind::Object;
        object.then(|| Closed { mark: Mark::at(node), len: value.len() })
    }

    /// `["a": 1]`: members without their braces. They go to the object in front, if there is one.
    fn members_in_array(&mut self, state: &mut Between, node: usize, at: usize) -> Read<bool> {
        self.tape.truncate(node);
        self.at = at;
        if let Some(last) = state.last_object {
            self.fix(Fix::Merged, at)?;
            let len = self.loose_members(last.mark, last.len)?;
            state.last_object = Some(Closed { len, ..last });
            return Ok(false);
        }
        self.fix(Fix::MissingOpening, at)?;
        let mark = self.tape.open_object();
        let len = self.loose_members(mark, 0)?;
        state.last_object = Some(Closed { mark, len });
        Ok(true)
    }

    fn loose_members(&mut self, mark: Mark, len: usize) -> Read<usize> {
        if self.stack.len() >= self.options.max_depth.min(DEEPEST) {
            self.skip_to_end();
            return Ok(len);
        }
        self.members(mark, len, Inside::Object)
    }

    fn skip_to_end(&mut self) {
        self.note(Fix::Depth);
        self.at = self.end;
    }
}

/// What was passed since the last member or item.
#[derive(Clone, Copy, Debug, Default)]
struct Between {
    comma: bool,
    first: bool,
    /// Brackets opened twice.
    doubled: usize,
    last_array: Option<Closed>,
    last_object: Option<Closed>,
}
