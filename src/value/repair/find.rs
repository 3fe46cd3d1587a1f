//! Where documents begin in a text, and which of them are meant.
//!
//! Everything is read once, from left to right: a bracket that can begin a document is read as one,
//! a fence is entered if what is in it can be one. Then the documents are chosen: those in fences
//! before others, those with something in them before `[1]` and `{}`.

use super::fix::Fix;
use super::reader::{Inside, Read, Reader, Stop, Wrong, is_word};
use super::string::{Role, quote_at};
use super::{Found, Options, Prose};
use crate::value::tape::Mark;
use crate::value::{Kind, Tape};

/// A document found in a text.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Position of the value on the tape.
    pub root: usize,
    pub start: usize,
    pub stop: usize,
    pub fixes: Vec<&'static str>,
    /// It stands in a code fence.
    pub fenced: bool,
    /// It ended before the text or a bracket around it did.
    pub complete: bool,
}

/// Every object and array of the text that stands in no other, in order.
pub fn candidates(text: &[u8], options: &Options, tape: &mut Tape) -> Vec<Candidate> {
    let mut reader = Reader::new(text, options, tape);
    let docs = reader.scan(false).0;
    docs.into_iter().map(Candidate::from).collect()
}

/// The value that begins at the beginning of the text, blanks aside, with a best effort; gives
/// where it stands on the tape and where it ends in the text.
pub fn value_at_start(text: &[u8], options: &Options, tape: &mut Tape) -> Option<(usize, usize)> {
    let mut reader = Reader::new(text, options, tape);
    let root = reader.tape.len();
    reader.blank().ok()?;
    if reader.at >= reader.end {
        return None;
    }
    let at = reader.at;
    reader.loose(at, at).ok().flatten().map(|doc| (root, doc.stop))
}

/// All objects and arrays of a text, as an array.
#[derive(Clone, Debug)]
pub struct All {
    /// Position of the array on the tape.
    pub root: usize,
    pub items: Vec<Candidate>,
}

/// As [`candidates`], in an array on the tape.
pub fn all(text: &[u8], options: &Options, tape: &mut Tape) -> All {
    let whole = tape.open_array();
    let items = candidates(text, options, tape);
    tape.close(whole, items.len());
    All { root: whole.position(), items }
}

/// The object or array that is meant: one in a fence, else the first that is complete and holds
/// more than a number or two, else the first.
pub fn first(all: &[Candidate], tape: &Tape) -> Option<usize> {
    let meant = |c: &Candidate| c.complete && !slight(tape, c.root);
    let place = |test: &dyn Fn(&Candidate) -> bool| all.iter().position(test);
    place(&|c| c.fenced && meant(c))
        .or_else(|| place(&|c| c.fenced))
        .or_else(|| place(&meant))
        .or_else(|| place(&|c| c.complete))
        .or_else(|| (!all.is_empty()).then_some(0))
}

impl From<Doc> for Candidate {
    fn from(doc: Doc) -> Candidate {
        let has = |fix| doc.fixes.contains(&fix);
        let cut_off = has(Fix::TruncatedString) || (has(Fix::MissingBracket) && doc.to_end);
        Candidate {
            root: doc.root,
            start: doc.start,
            stop: doc.stop,
            fixes: doc.fixes.iter().map(|fix| fix.name()).collect(),
            fenced: doc.fenced,
            complete: !cut_off,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Doc {
    pub root: usize,
    pub start: usize,
    pub stop: usize,
    /// Where it had to end.
    limit: usize,
    fixes: Vec<Fix>,
    fenced: bool,
    to_end: bool,
    /// What lies between it and the document in front.
    gap: Gap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    None,
    /// A comma or a line break.
    Separator,
    Prose,
}

/// Arrays of bare scalars and empty containers are often no documents: `[1]`, `{}`.
fn slight(tape: &Tape, root: usize) -> bool {
    let Some(value) = tape.at(root) else { return true };
    let bare = |kind| !matches!(kind, Kind::Str | Kind::Array | Kind::Object);
    value.is_empty() || (value.kind() == Kind::Array && value.items().all(|it| bare(it.kind())))
}

impl Reader<'_> {
    /// The document of the text, by the options.
    pub fn document(&mut self) -> Read<Found> {
        self.byte_order_mark()?;
        let from = self.at;
        if self.best()
            && let Some(found) = self.call_first()?
        {
            return Ok(found);
        }
        let whole = self.tape.open_array();
        let (docs, failed) = self.scan(self.best());
        let chosen = self.choose(&docs, from);
        if self.best() && !self.convincing(&docs, &chosen) {
            self.tape.truncate(whole.position());
            self.at = from;
            if let Some(found) = self.other()? {
                return Ok(found);
            }
            let whole = self.tape.open_array();
            self.at = from;
            let (docs, _) = self.scan(true);
            let chosen = self.choose(&docs, from);
            return self.finish(whole, docs, chosen, from, None);
        }
        self.finish(whole, docs, chosen, from, failed)
    }

    fn byte_order_mark(&mut self) -> Read<()> {
        if self.starts(self.at, "\u{FEFF}") {
            self.fix(Fix::Bom, self.at)?;
            self.at += 3;
        }
        Ok(())
    }

    /// Whether some document is surely one: it holds something, or nothing else is in the text.
    fn convincing(&self, docs: &[Doc], chosen: &[usize]) -> bool {
        let text = self.text.trim_ascii();
        let starts = matches!(text.first(), Some(b'{' | b'['));
        chosen.iter().filter_map(|n| docs.get(*n)).any(|doc| {
            doc.fenced || (starts && doc.gap == Gap::None) || !slight(self.tape, doc.root)
        })
    }

    fn finish(
        &mut self,
        whole: Mark,
        docs: Vec<Doc>,
        chosen: Vec<usize>,
        from: usize,
        failed: Option<Stop>,
    ) -> Read<Found> {
        let kept: Vec<Doc> = chosen.iter().filter_map(|n| docs.get(*n).cloned()).collect();
        let (Some(first), Some(last)) = (kept.first(), kept.last()) else {
            self.tape.truncate(whole.position());
            return self.nothing(from, failed);
        };
        let (start, stop) = (first.start, last.stop);
        self.around(from, start, stop, &kept);
        if kept.len() == 1 && !self.options.all {
            let mut fixes = first.fixes.clone();
            fixes.extend(self.fixes.iter().filter(|fix| !first.fixes.contains(fix)));
            return Ok(self.found(first.root, start, stop, &fixes));
        }
        self.several(whole, &docs, &kept, start, stop)
    }

    fn several(
        &mut self,
        whole: Mark,
        docs: &[Doc],
        kept: &[Doc],
        start: usize,
        stop: usize,
    ) -> Read<Found> {
        let around = std::mem::take(&mut self.fixes);
        let mut fixes: Vec<Fix> = Vec::new();
        for doc in kept {
            fixes.extend(doc.fixes.iter().filter(|fix| !fixes.contains(fix)).collect::<Vec<_>>());
        }
        if !self.options.all {
            fixes.push(Fix::Documents);
        }
        fixes.extend(around);
        if kept.len() != docs.len() {
            // Others lie between them on the tape: read again only those that are meant.
            self.tape.truncate(whole.position() + 1);
            for doc in kept {
                self.again(doc)?;
            }
        }
        self.tape.close(whole, kept.len());
        Ok(self.found(whole.position(), start, stop, &fixes))
    }

    fn again(&mut self, doc: &Doc) -> Read<()> {
        let end = std::mem::replace(&mut self.end, doc.limit);
        self.at = doc.start;
        let done = self.one();
        self.end = end;
        done
    }

    fn found(&self, root: usize, start: usize, stop: usize, fixes: &[Fix]) -> Found {
        let mut names: Vec<&'static str> = Vec::new();
        for fix in fixes {
            if !names.contains(&fix.name()) {
                names.push(fix.name());
            }
        }
        Found { root, start, stop, fixes: names, warnings: warnings(fixes) }
    }

    /// Notes what is left out in front of the documents and behind them.
    fn around(&mut self, from: usize, start: usize, stop: usize, kept: &[Doc]) {
        let fenced = kept.iter().any(|doc| doc.fenced);
        let blank = |text: &[u8]| {
            let text = text.trim_ascii();
            text.is_empty() || (fenced && text.starts_with(b"```") && !text.contains(&b'\n'))
        };
        let before = self.text.get(from..start).unwrap_or_default();
        let after = self.text.get(stop..).unwrap_or_default();
        let only_fence = after.trim_ascii().iter().all(|b| b"`,;".contains(b));
        let brackets = after.trim_ascii().iter().all(|b| b"`,;)}]> \n".contains(b));
        let comments = |text: &[u8]| text.trim_ascii().starts_with(b"/");
        if !blank(before) {
            self.note(if comments(before) { Fix::Comment } else { Fix::Prose });
        }
        match () {
            () if only_fence && after.contains(&b'`') => self.note(Fix::Fence),
            () if only_fence && after.contains(&b',') => self.note(Fix::Comma),
            () if only_fence => {}
            () if brackets => self.note(Fix::ExtraBracket),
            () if comments(after) => self.note(Fix::Comment),
            () => self.note(Fix::Prose),
        }
        if kept.iter().any(|doc| doc.gap == Gap::Prose) {
            self.note(Fix::Prose);
        }
    }

    /// No document: an error, or the text itself.
    fn nothing(&mut self, from: usize, failed: Option<Stop>) -> Read<Found> {
        if self.options.prose() == Prose::Error {
            let none = Stop { at: from, wrong: Wrong::Nothing };
            return Err(failed.unwrap_or(none));
        }
        let start = self.text.len() - self.text.trim_ascii_start().len();
        let start = start.max(from.min(self.text.len()));
        let root = self.tape.len();
        self.note(Fix::Text);
        let shown = String::from_utf8_lossy(self.text.get(start..).unwrap_or_default());
        self.tape.str(shown.trim().as_bytes());
        let fixes = self.fixes.clone();
        Ok(self.found(root, start, self.text.trim_ascii_end().len(), &fixes))
    }

    /// Which documents are meant.
    fn choose(&self, docs: &[Doc], from: usize) -> Vec<usize> {
        let all: Vec<usize> = (0..docs.len()).collect();
        let keep = |test: &dyn Fn(&Doc) -> bool| -> Vec<usize> {
            all.iter().copied().filter(|n| docs.get(*n).is_some_and(test)).collect()
        };
        if self.options.all {
            return all;
        }
        let fenced = keep(&|doc| doc.fenced && !self.is_empty(doc.root));
        let fenced = if fenced.is_empty() { keep(&|doc| doc.fenced) } else { fenced };
        let real = keep(&|doc| !slight(self.tape, doc.root));
        let prose = docs.iter().any(|doc| doc.gap == Gap::Prose)
            || docs.first().is_some_and(|doc| !self.blank_between(from, doc.start));
        let chosen = match () {
            () if !fenced.is_empty() => fenced,
            () if prose && !real.is_empty() => real,
            () => all,
        };
        match self.best() {
            true => self.without_rewritten(docs, without_begun(docs, chosen)),
            false => chosen.into_iter().take(1).collect(),
        }
    }

    fn blank_between(&self, from: usize, to: usize) -> bool {
        self.text.get(from..to).unwrap_or_default().trim_ascii().is_empty()
    }

    /// Of documents right behind each other, an empty one is nothing, and an array of the same
    /// shape takes the place of the one in front.
    fn without_rewritten(&self, docs: &[Doc], chosen: Vec<usize>) -> Vec<usize> {
        let mut kept: Vec<usize> = Vec::new();
        for n in chosen {
            let Some(doc) = docs.get(n) else { continue };
            let previous = kept.last().and_then(|p| docs.get(*p));
            if let Some(previous) = previous.filter(|_| doc.gap == Gap::None) {
                if self.is_empty(doc.root) {
                    continue;
                }
                if self.is_empty(previous.root) || self.rewrites(previous.root, doc.root) {
                    kept.pop();
                }
            }
            kept.push(n);
        }
        kept
    }

    fn is_empty(&self, root: usize) -> bool {
        self.tape.at(root).is_none_or(|value| value.is_empty())
    }

    /// Two arrays whose items have the same kinds and keys.
    fn rewrites(&self, old: usize, new: usize) -> bool {
        let (Some(old), Some(new)) = (self.tape.at(old), self.tape.at(new)) else { return false };
        let same = |(a, b): (crate::value::Ref<'_>, crate::value::Ref<'_>)| {
            let keys = |it: crate::value::Ref<'_>| -> Vec<_> {
                it.members().map(|(key, _)| key.to_text()).collect()
            };
            a.kind() == b.kind() && keys(a) == keys(b)
        };
        old.kind() == Kind::Array
            && new.kind() == Kind::Array
            && old.len() == new.len()
            && old.items().zip(new.items()).all(same)
    }

    /// Reads every document of the text; also tells the first that could not be read. `first`: the
    /// text may begin with one that is hardly recognisable.
    pub fn scan(&mut self, first: bool) -> (Vec<Doc>, Option<Stop>) {
        let (mut docs, mut failed) = (Vec::new(), None);
        let mut lead = first;
        while let Some(at) = self.next_start(&mut lead) {
            self.at = at;
            let here = if self.starts(at, "```") { self.fence(at) } else { self.loose(at, at) };
            match here {
                Ok(Some(doc)) => self.add(&mut docs, doc),
                Ok(None) => {}
                Err(stop) => {
                    failed.get_or_insert(stop);
                }
            }
            if self.at <= at {
                self.at = at + 1;
            }
        }
        (docs, failed)
    }

    fn add(&mut self, docs: &mut Vec<Doc>, mut doc: Doc) {
        if let Some(last) = docs.last() {
            doc.gap = gap(self.text.get(last.stop..doc.start).unwrap_or_default());
        }
        docs.push(doc);
    }

    /// The next bracket or fence that a document may begin with.
    fn next_start(&mut self, lead: &mut bool) -> Option<usize> {
        loop {
            let leading = std::mem::take(lead);
            if leading {
                self.at = self.skip_lead();
            }
            let at = self.at + memchr::memchr3(b'{', b'[', b'`', self.rest(self.at))?;
            let first = leading && at == self.at;
            let fits = match self.byte(at) {
                b'`' => self.starts(at, "```"),
                b'{' => first || self.object_begins(at),
                _ => first || self.array_begins(at),
            };
            self.at = if fits { at } else { at + 1 };
            if fits {
                return Some(at);
            }
        }
    }

    fn skip_lead(&mut self) -> usize {
        let at = self.after_blank(self.at);
        let byte = self.byte(at);
        // A bullet in front of the document.
        let bullet = matches!(byte, b'-' | b'*') && self.byte(at + 1) == b' ';
        if bullet { self.after_blank(at + 1) } else { at }
    }

    /// What follows a brace if it begins an object, and not a piece of code or a placeholder.
    fn object_begins(&mut self, at: usize) -> bool {
        let next = self.after_blank(at + 1);
        let rest = self.rest(next);
        let best = self.best();
        match self.byte(next) {
            _ if next >= self.end => best,
            b'}' => self.byte(next + 1) != b'}',
            b'{' => {
                let inner = self.after_blank(next + 1);
                best && quote_at(self.rest(inner)).is_some()
            }
            b',' | b'.' => best && self.separated_start(next),
            b'\\' => best && quote_at(self.rest(next + 1)).is_some(),
            b'`' => self.starts(next, "```") && best,
            _ => quote_at(rest).is_some() || self.bare_key_begins(next),
        }
    }

    fn separated_start(&mut self, at: usize) -> bool {
        let dots = if self.starts(at, "...") { 3 } else { 1 };
        let next = self.after_blank(at + dots);
        quote_at(self.rest(next)).is_some() || self.byte(next) == b'}'
    }

    fn bare_key_begins(&mut self, at: usize) -> bool {
        let len = self.rest(at).iter().take(64).take_while(|b| is_word(**b)).count();
        let next = self.after_blank(at + len);
        len > 0
            && self.byte(next) == b':'
            && !matches!(self.byte(next + 1), b':' | b'/' | b'=' | b'}')
    }

    /// What follows a bracket if it begins an array, and not a remark or a link.
    fn array_begins(&mut self, at: usize) -> bool {
        let next = self.after_blank(at + 1);
        let byte = self.byte(next);
        match byte {
            _ if next >= self.end => false,
            b'[' => self.array_begins_deep(next),
            b'{' | b']' => true,
            b'-' => self.byte(next + 1).is_ascii_digit(),
            b'\\' => self.best() && quote_at(self.rest(next + 1)).is_some(),
            b'.' | b',' => self.best() && self.separated_start(next),
            _ => {
                byte.is_ascii_digit() && self.number_item(next)
                    || quote_at(self.rest(next)).is_some()
                    || self.literal_at(next)
            }
        }
    }

    /// `[1, 2` and `[1]`, but not `[12:30 Bob]`.
    fn number_item(&mut self, at: usize) -> bool {
        let inner = |b: &&u8| b.is_ascii_digit() || b".eE+-_".contains(b);
        let len = self.rest(at).iter().take(64).take_while(inner).count();
        let next = self.after_blank(at + len);
        next >= self.end || matches!(self.byte(next), b',' | b']')
    }

    fn array_begins_deep(&mut self, at: usize) -> bool {
        const FAR: usize = 256;
        let opening = |b: &&u8| b"[ \n\t\r".contains(b);
        let deep = self.rest(at).iter().take(FAR).take_while(opening).count();
        let next = at + deep;
        let byte = self.byte(next);
        next >= self.end
            || b"{[]-".contains(&byte)
            || byte.is_ascii_digit()
            || quote_at(self.rest(next)).is_some()
            || self.literal_at(next)
    }

    /// The document that begins here, if it can be read. `start` is where it is said to begin.
    fn loose(&mut self, at: usize, start: usize) -> Read<Option<Doc>> {
        let fixes = std::mem::take(&mut self.fixes);
        self.at = at;
        let root = self.tape.len();
        let done = self.one();
        let fixes = std::mem::replace(&mut self.fixes, fixes);
        if let Err(stop) = done {
            self.tape.truncate(root);
            self.stack.clear();
            self.at = self.behind_failure(at, stop.at);
            return Err(stop);
        }
        let to_end = self.after_blank(self.at) >= self.end;
        let (stop, limit) = (self.at.min(self.end), self.end);
        Ok(Some(Doc { root, start, stop, limit, fixes, fenced: false, to_end, gap: Gap::None }))
    }

    /// What could not be read is passed as a whole if its brackets close.
    fn behind_failure(&mut self, at: usize, failed: usize) -> usize {
        let (mut here, mut depth, mut quote) = (at, 0usize, false);
        while here < self.end && self.spend(1) {
            match self.byte(here) {
                b'\\' => here += 1,
                b'"' => quote = !quote,
                b'\n' => quote = false,
                _ if quote => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            here += 1;
            if depth == 0 {
                return here.min(self.end);
            }
        }
        failed.max(at + 1).min(self.end)
    }

    /// One document, and members behind it that its bracket cut off.
    fn one(&mut self) -> Read<()> {
        if self.best() && self.escaped_here() {
            return self.unescaped();
        }
        let root = self.tape.len();
        self.value(Role::Top)?;
        while self.best() && self.goes_on_behind(root)? {}
        Ok(())
    }

    /// `{"a": 1}, "b": 2}`: the object is not over.
    fn goes_on_behind(&mut self, root: usize) -> Read<bool> {
        let comma = self.after_blank(self.at);
        let object = self.tape.at(root).is_some_and(|value| value.kind() == Kind::Object);
        if !object || self.byte(comma) != b',' {
            return Ok(false);
        }
        let next = self.after_blank(comma + 1);
        if quote_at(self.rest(next)).is_none() || !self.key_or_pair(next) {
            return Ok(false);
        }
        self.fix(Fix::Merged, comma)?;
        let len = self.tape.at(root).map_or(0, |value| value.len());
        self.at = next;
        self.members(Mark::at(root), len, Inside::Object)?;
        Ok(true)
    }

    fn key_or_pair(&mut self, at: usize) -> bool {
        if self.key_at(at) {
            return true;
        }
        let Some(quote) = quote_at(self.rest(at)) else { return false };
        let Some((to, len)) = self.next_quote(quote.style, at + quote.len) else { return false };
        self.spend(to - at);
        let next = self.after_blank(to + len);
        quote_at(self.rest(next)).is_some()
    }

    /// A fence: the document in it, if there is one.
    fn fence(&mut self, at: usize) -> Read<Option<Doc>> {
        let ticks = self.rest(at).iter().take_while(|b| **b == b'`').count();
        let info = at + ticks;
        let word = self.rest(info).iter().take(32).take_while(|b| is_word(**b)).count();
        let inner = self.after_blank(info + word);
        let name = self.part(info, info + word);
        let first = self.byte(inner);
        let ours = name.is_empty() || name.to_ascii_lowercase().starts_with(b"json");
        let opens = matches!(first, b'{' | b'[')
            || (self.best() && ours && word > 0 && matches!(first, b'(' | b'"' | b'\''))
            || (self.best() && self.escaped_at(inner));
        if !opens || inner >= self.end {
            self.at = self.behind_fence(info + word, ours);
            return Ok(None);
        }
        let doc = self.in_fence(inner);
        if let Ok(Some(doc)) = &doc {
            self.at = self.behind_close(doc.stop);
        }
        doc.map(|doc| doc.map(|doc| Doc { fenced: true, ..doc }))
    }

    /// A closing fence that stands right behind the document is passed with it.
    fn behind_close(&mut self, stop: usize) -> usize {
        let next = self.after_blank(stop);
        let ticks = self.rest(next).iter().take_while(|b| **b == b'`').count();
        if ticks >= 3 { next + ticks } else { stop }
    }

    /// Code of another language is passed up to the fence that ends it.
    fn behind_fence(&mut self, at: usize, ours: bool) -> usize {
        let close = if ours { None } else { self.closing_fence(at) };
        close.map_or(at, |close| close + 3)
    }

    /// First without regard to the closing fence, which may stand in a string; if that runs past
    /// it and mends strings, again up to the fence.
    fn in_fence(&mut self, at: usize) -> Read<Option<Doc>> {
        let root = self.tape.len();
        let doc = self.loose(at, at);
        let Some(close) = self.closing_fence(at) else { return doc };
        let past = match &doc {
            Ok(Some(doc)) => doc.stop > close && guessed(&doc.fixes),
            Ok(None) | Err(_) => true,
        };
        if !past {
            return doc;
        }
        self.tape.truncate(root);
        let end = std::mem::replace(&mut self.end, close);
        let shorter = self.loose(at, at);
        self.end = end;
        self.spend(close - at);
        if shorter.is_err() {
            self.at = close + 3;
        }
        shorter
    }

    /// Brackets or quotes right here have a backslash in front of the first quote.
    pub fn escaped_here(&mut self) -> bool {
        self.escaped_at(self.at)
    }

    fn escaped_at(&mut self, at: usize) -> bool {
        let open = self.rest(at).iter().take(8).take_while(|b| b"{[ \n".contains(b)).count();
        let literal = if self.starts(at + open, "\\n") { 2 } else { 0 };
        let next = self.after_blank(at + open + literal);
        self.starts(next, "\\\"") && (open > 0 || next == at)
    }

    /// Reads a document whose quotes are escaped from a copy in which they are not.
    pub fn unescaped(&mut self) -> Read<()> {
        self.fix(Fix::Escaped, self.at)?;
        let copy = unescape(self.rest(self.at));
        let mut inner = Reader::new(&copy, self.options, self.tape);
        inner.fuel = self.fuel.min(inner.fuel);
        inner.value(Role::Top)?;
        let (used, fixes) = (inner.at, std::mem::take(&mut inner.fixes));
        self.spend(copy.len());
        self.fuel = self.fuel.saturating_sub(copy.len());
        fixes.into_iter().for_each(|fix| self.note(fix));
        self.at += escaped_length(self.rest(self.at), used);
        Ok(())
    }
}

/// Without documents that were only begun, behind prose at the end of the text.
fn without_begun(docs: &[Doc], mut chosen: Vec<usize>) -> Vec<usize> {
    let last = chosen.last().and_then(|n| docs.get(*n));
    let begun = last.is_some_and(|doc| {
        doc.to_end && doc.gap == Gap::Prose && doc.fixes.contains(&Fix::MissingBracket)
    });
    if begun && chosen.len() > 1 {
        chosen.pop();
    }
    chosen
}

fn gap(between: &[u8]) -> Gap {
    let text = between.trim_ascii();
    let separators = |b: &u8| b",;`".contains(b) || b.is_ascii_whitespace();
    match () {
        () if text.is_empty() && !between.contains(&b'\n') => Gap::None,
        () if text.iter().all(separators) || text.starts_with(b"/") || text.starts_with(b",") => {
            Gap::Separator
        }
        () if text.iter().all(|b| b"}])".contains(b)) => Gap::None,
        () => Gap::Prose,
    }
}

/// The end of some string was guessed.
fn guessed(fixes: &[Fix]) -> bool {
    let strings = [Fix::TruncatedString, Fix::MissingQuote, Fix::UnescapedQuote];
    fixes.iter().any(|fix| strings.contains(fix))
}

/// What was guessed and may have been meant differently.
fn warnings(fixes: &[Fix]) -> Vec<String> {
    const GUESSES: &[(Fix, &str)] = &[
        (Fix::UnescapedQuote, "a string with unescaped quotes in it: its end was guessed"),
        (Fix::MissingQuote, "a quote was missing: the end of its string was guessed"),
        (Fix::TruncatedString, "the text ends inside of a string"),
        (Fix::ExtraText, "words between the parts of the document were left out"),
        (Fix::Depth, "containers nested too deep were left out"),
        (Fix::Documents, "the text has several documents"),
    ];
    let made = GUESSES.iter().filter(|(fix, _)| fixes.contains(fix));
    made.map(|(_, warning)| (*warning).to_owned()).collect()
}

/// One level of escapes less.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let (character, len) = unescaped_byte(*byte, text.get(at + 1).copied());
        out.push(character);
        at += len;
    }
    out
}

fn unescaped_byte(byte: u8, next: Option<u8>) -> (u8, usize) {
    match (byte, next) {
        (b'\\', Some(next @ (b'"' | b'\\' | b'/' | b'\''))) => (next, 2),
        (b'\\', Some(b'n')) => (b'\n', 2),
        (b'\\', Some(b'r')) => (b'\r', 2),
        (b'\\', Some(b't')) => (b'\t', 2),
        _ => (byte, 1),
    }
}

/// How long the text is that gives `used` bytes without its escapes.
fn escaped_length(text: &[u8], used: usize) -> usize {
    (0..used).fold(0, |at, _| match text.get(at) {
        Some(byte) => at + unescaped_byte(*byte, text.get(at + 1).copied()).1,
        None => at,
    })
}
