//! A cassette as a file: every line ends with a checksum of all that stands before it, so that no
//! byte can be changed, no line moved and no end cut off without being found.

use std::path::Path;

use ring::digest::{Context, SHA256};
use serde_json::{Map, Value, json};

use super::line;
use super::tape::Tape;
use crate::error::{Code, Error, Result, quoted};
use crate::memory::files;

/// What stands before the checksum of a line, and behind it.
const BEFORE: &str = ",\"sum\":\"";
const BEHIND: &str = "\"}";
/// Hexadecimal digits of a checksum.
const DIGITS: usize = 16;

pub fn save(path: &Path, tape: &Tape) -> Result<()> {
    files::replace(path, text_of(tape).as_bytes())
}

pub fn load(path: &Path) -> Result<Tape> {
    let bytes = files::read(path)?;
    read(&bytes).map_err(|(line, why)| corrupt(path, line, &why))
}

pub fn text_of(tape: &Tape) -> String {
    let (mut text, mut before) = (String::new(), String::new());
    for line in line::write(tape) {
        let line = Value::Object(line).to_string();
        let open = line.strip_suffix('}').unwrap_or(&line);
        before = sum(&before, open.as_bytes());
        text.extend([open, BEFORE, &before, BEHIND, "\n"]);
    }
    text
}

/// The tape; or the number of the first line that is not as it was written, and why.
pub fn read(bytes: &[u8]) -> std::result::Result<Tape, (usize, String)> {
    let Some(text) = bytes.strip_suffix(b"\n") else {
        let line = bytes.split(|byte| *byte == b'\n').count();
        return Err((line, "its end is missing".into()));
    };
    let (mut lines, mut before) = (Vec::new(), String::new());
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let checked = checked(line, &mut before);
        lines.push(checked.ok_or_else(|| (at + 1, "its checksum is wrong".to_owned()))?);
    }
    line::read(&lines)
}

fn checked(line: &[u8], before: &mut String) -> Option<Map<String, Value>> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix(BEHIND)?;
    let (open, said) = line.split_at_checked(line.len().checked_sub(DIGITS)?)?;
    let open = open.strip_suffix(BEFORE)?;
    *before = sum(before, open.as_bytes());
    if *before != said {
        return None;
    }
    serde_json::from_str(&format!("{open}}}")).ok()
}

fn sum(before: &str, line: &[u8]) -> String {
    let mut context = Context::new(&SHA256);
    context.update(before.as_bytes());
    context.update(line);
    let digest = context.finish();
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.take(DIGITS / 2).collect()
}

fn corrupt(path: &Path, line: usize, why: &str) -> Error {
    let path = path.to_string_lossy();
    let details = json!({ "reason": "corrupt", "path": path, "line": line });
    let message = format!(
        "{}: line {line}: {why}; the cassette was changed or cut off: record it anew",
        quoted(&path)
    );
    Error::new(Code::IoError, message).with(|f| f.details = Some(details))
}
