//! What is found at a path.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use rustix::fs::{self, AtFlags, Dir, FileType, Stat};
use serde_json::{Value, json};

use super::super::put_bytes;
use super::beneath::{self, Opened};
use super::{Operation, Wish};
use crate::error::{Error, Result};
use crate::store::filing::{failed, said};

/// Entries of a directory that are listed.
const MOST_ENTRIES: usize = 10_000;

pub fn at(wish: &Wish) -> Result<Value> {
    let opened = beneath::open(&wish.roots, &wish.path)?;
    match wish.operation {
        Operation::Stat => Ok(stat(&wish.path, &opened)),
        Operation::List => list(&wish.path, &opened),
        Operation::Read => read(wish, opened),
    }
}

fn stat(path: &str, opened: &Opened) -> Value {
    let mut found = entry(path, &opened.about);
    found["path"] = path.into();
    found
}

/// Sizes are of files only: of other things they mean nothing to a reader.
fn entry(name: &str, about: &Stat) -> Value {
    let kind = FileType::from_raw_mode(about.st_mode);
    let mut entry =
        json!({ "name": name.trim_end_matches('/').rsplit('/').next(), "type": word(kind) });
    if kind == FileType::RegularFile {
        entry["size"] = size(about).into();
    }
    entry["modified_at"] = json!(about.st_mtime);
    entry
}

fn size(about: &Stat) -> u64 {
    u64::try_from(about.st_size).unwrap_or(0)
}

fn word(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "link",
        _ => "other",
    }
}

fn list(path: &str, opened: &Opened) -> Result<Value> {
    let failed = |error: rustix::io::Errno| failed(Path::new(path), &error.into());
    if opened.kind != FileType::Directory {
        return Err(said(Path::new(path), "not_a_directory", "it is no directory"));
    }
    let mut names = Vec::new();
    for found in Dir::read_from(&opened.file).map_err(failed)? {
        let found = found.map_err(failed)?;
        let name = found.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    names.sort();
    let (total, shown) = (names.len(), names.iter().take(MOST_ENTRIES));
    // A link is told as such, wherever it leads.
    let look = |name: &String| {
        let about = fs::statat(&opened.file, name.as_str(), AtFlags::SYMLINK_NOFOLLOW);
        about.map_or_else(|_| json!({ "name": name, "type": "other" }), |a| entry(name, &a))
    };
    Ok(json!({
        "path": path,
        "entries": shown.map(look).collect::<Vec<_>>(),
        "total": total,
        "truncated": total > MOST_ENTRIES,
    }))
}

fn read(wish: &Wish, opened: Opened) -> Result<Value> {
    let path = Path::new(&wish.path);
    if opened.kind == FileType::Directory {
        return Err(said(path, "is_directory", "it is a directory; operation \"list\" shows it"));
    }
    let fail = |error: std::io::Error| -> Error { failed(path, &error) };
    let (mut file, size) = (File::from(opened.file), size(&opened.about));
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(wish.offset)).map_err(fail)?;
    // One more tells whether something is left.
    file.take(wish.max_bytes + 1).read_to_end(&mut bytes).map_err(fail)?;
    let more = bytes.len() as u64 > wish.max_bytes;
    bytes.truncate(wish.max_bytes as usize);
    let mut found = json!({ "path": wish.path, "size": size });
    let taken = put_content(&mut found, bytes, more);
    found["truncated"] = more.into();
    if more {
        found["next_offset"] = (wish.offset + taken as u64).into();
    }
    Ok(found)
}

/// Puts in what was read and tells how many bytes that is: a character that was cut is left out.
fn put_content(found: &mut Value, bytes: Vec<u8>, more: bool) -> usize {
    let bytes = if more { without_cut(bytes) } else { bytes };
    let taken = bytes.len();
    put_bytes(found, "content", bytes);
    taken
}

/// Without the beginning of a character whose end is not there.
fn without_cut(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
        && error.valid_up_to() > 0
    {
        bytes.truncate(error.valid_up_to());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_was_cut_is_left_for_the_next_call() {
        let mut found = json!({});
        assert_eq!(put_content(&mut found, "aä".as_bytes()[..2].to_vec(), true), 1);
        assert_eq!(found["content"], "a");
        assert_eq!(put_content(&mut found, "aä".as_bytes()[..2].to_vec(), false), 2);
        assert_eq!(found["encoding"], "base64");
        assert_eq!(put_content(&mut found, vec![0xc3], true), 1);
        assert_eq!(found["content"], "ww==");
    }
}
