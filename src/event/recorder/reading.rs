//! The events of a file, a part at a time: a long one takes no more memory than a short one.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use super::Recorded;
use super::gather::Page;
use crate::error::{Code, Error, Result, quoted};
use crate::runtime::Runtime;
use crate::step::Token;
use crate::store::filing::failed;
use crate::store::{Filing, Pending, Place, Question, Shared, lines};

/// Bytes read at once.
const PART: u64 = 256 << 10;

pub struct Reading {
    path: PathBuf,
    /// What this process has still to write there comes first.
    flushed: Option<(Shared, Pending)>,
    open: Option<Open>,
    opening: Option<Filing<Open>>,
    part: Option<Filing<Vec<u8>>>,
    at: u64,
    /// Behind the last line break.
    rest: Vec<u8>,
    /// The number of the last line.
    line: u64,
}

/// The file, and how long it was: what is written meanwhile is not read.
struct Open {
    file: Arc<File>,
    size: u64,
}

impl Reading {
    pub fn of(path: PathBuf) -> Reading {
        Reading {
            path,
            flushed: None,
            open: None,
            opening: None,
            part: None,
            at: 0,
            rest: Vec::new(),
            line: 0,
        }
    }

    pub fn next(&mut self, runtime: &mut Runtime, me: Token) -> Result<Page<Vec<Recorded>>> {
        let Some((file, size)) = self.opened(runtime, me)? else { return Ok(Page::Waits) };
        if self.part.is_none() {
            if self.at >= size {
                return self.last();
            }
            let (path, at) = (self.path.clone(), self.at);
            let read = move || {
                let most = PART.min(size - at);
                lines::part(&file, at, most).map_err(|error| failed(&path, &error))
            };
            self.part = Some(Filing::start(&runtime.clock, runtime.tasks.waker(me)?, read)?);
        }
        let Some(part) = self.part.as_ref().and_then(Filing::take) else {
            return Ok(Page::Waits);
        };
        self.part = None;
        let part = part?;
        // It may have been cut off since.
        self.at = if part.is_empty() { size } else { self.at + part.len() as u64 };
        self.rest.extend_from_slice(&part);
        self.lines().map(Page::Some)
    }

    fn opened(&mut self, runtime: &mut Runtime, me: Token) -> Result<Option<(Arc<File>, u64)>> {
        if let Some(open) = &self.open {
            return Ok(Some((open.file.clone(), open.size)));
        }
        if self.opening.is_none() {
            if !self.is_flushed(runtime, me)? {
                return Ok(None);
            }
            let path = self.path.clone();
            let open = move || {
                let file = lines::open_to_read(&path)?;
                let size = lines::size(&file).map_err(|error| failed(&path, &error))?;
                Ok(Open { file: Arc::new(file), size })
            };
            self.opening = Some(Filing::start(&runtime.clock, runtime.tasks.waker(me)?, open)?);
        }
        let Some(open) = self.opening.as_ref().and_then(Filing::take) else { return Ok(None) };
        (self.open, self.opening) = (Some(open?), None);
        self.opened(runtime, me)
    }

    fn is_flushed(&mut self, runtime: &mut Runtime, me: Token) -> Result<bool> {
        if self.flushed.is_none() {
            let place = Place::lines(&self.path);
            let Some(shared) = Shared::used(&place, &runtime.clock) else { return Ok(true) };
            let pending = shared.ask(Question::Flush, runtime.tasks.waker(me)?);
            self.flushed = Some((shared, pending));
        }
        let answer = self.flushed.as_ref().and_then(|(_, pending)| pending.take());
        let Some(answer) = answer else { return Ok(false) };
        self.flushed = None;
        answer.map(|_| true)
    }

    /// The events of the whole lines there are.
    fn lines(&mut self) -> Result<Vec<Recorded>> {
        let rest = std::mem::take(&mut self.rest);
        let end = memchr::memrchr(b'\n', &rest).map_or(0, |at| at + 1);
        let (whole, rest) = rest.split_at(end);
        let mut events = Vec::new();
        for line in whole.strip_suffix(b"\n").into_iter().flat_map(|all| all.split(|b| *b == b'\n'))
        {
            events.extend(self.event(line)?);
        }
        self.rest = rest.to_vec();
        Ok(events)
    }

    /// What is left behind the last line break is what a killed process wrote last, or a line.
    fn last(&mut self) -> Result<Page<Vec<Recorded>>> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() || lines::is_torn(&rest) {
            return Ok(Page::End);
        }
        Ok(Page::Some(self.event(&rest)?.into_iter().collect()))
    }

    fn event(&mut self, line: &[u8]) -> Result<Option<Recorded>> {
        self.line += 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        Recorded::from_line(line).map(Some).map_err(|what| self.broken(&what))
    }

    fn broken(&self, what: &str) -> Error {
        let path = self.path.to_string_lossy();
        let details = serde_json::json!({ "path": path, "line": self.line });
        Error::new(Code::ParseFailed, format!("{}: line {}: {what}", quoted(&path), self.line))
            .with(|f| f.details = Some(details))
    }
}
