//! `file_writer`: writes files below the roots that `configure{tools={write_roots=}}` names.
//!
//! A link on the way may lead to another place below its root; what is written itself is never one:
//! where a name is a link, nothing is written.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use serde_json::{Value, json};

use super::super::{Builtin, Work};
use super::beneath::{check, refusal, step_below};
use super::{Filed, rooted};
use crate::chance;
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::store::filing::{failed, said};

/// Bytes that one call writes.
const MOST_BYTES: usize = 10 << 20;

/// Names tried for what is written before it has its own.
const NAMES: u32 = 100;

pub static FILE_WRITER: Builtin = Builtin {
    name: "file_writer",
    aliases: &[],
    description: "Writes files. \"write\" makes a file or replaces it as a whole (not where overwrite is false), \"append\" adds to its end, \
                  \"mkdir\" makes a directory and those above it. At most 10 MB at once. \
                  Paths are relative, without \"..\"; \".\" is the top directory.",
    category: "file",
    capabilities: &["filesystem", "asynchronous"],
    parameters: |_| {
        json!({
            "type": "object",
            "properties": {
                "operation": { "type": "string", "enum": ["write", "append", "mkdir"], "default": "write" },
                "path": { "type": "string", "description": "for example \"notes/today.md\"" },
                "content": { "type": "string" },
                "encoding": { "type": "string", "enum": ["utf-8", "base64"], "default": "utf-8", "description": "of content" },
                "overwrite": { "type": "boolean", "default": true },
            },
            "required": ["path"],
        })
    },
    returns: || json!({ "type": "object" }),
    offered: |bounds| !bounds.write_roots.is_empty(),
    start,
};

/// What is asked, checked.
struct Wish {
    operation: Operation,
    path: String,
    roots: Vec<PathBuf>,
    bytes: Vec<u8>,
    overwrite: bool,
    /// Of a name that is hardly taken.
    beside: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Write,
    Append,
    Mkdir,
}

fn start(runtime: &Runtime, input: Value) -> Result<Work> {
    let wish = wish(runtime, &input)?;
    Ok(Work::Goes(Box::new(Filed::new("writing the file", move || put(&wish)))))
}

fn wish(runtime: &Runtime, input: &Value) -> Result<Wish> {
    let wrong = |what: &str| Error::new(Code::ValidationFailed, what);
    let operation = match input["operation"].as_str().unwrap_or("write") {
        "write" => Operation::Write,
        "append" => Operation::Append,
        "mkdir" => Operation::Mkdir,
        _ => return Err(wrong("operation: expected \"write\", \"append\" or \"mkdir\"")),
    };
    let path = input["path"].as_str().ok_or_else(|| wrong("path: expected a string"))?;
    if operation != Operation::Mkdir && !input["content"].is_string() {
        return Err(wrong("content: expected a string, which is what is to be written"));
    }
    let content = input["content"].as_str().unwrap_or_default();
    let bytes = match input["encoding"].as_str() {
        Some("base64") => {
            STANDARD.decode(content).map_err(|_| wrong("content: it is no base64"))?
        }
        _ => content.as_bytes().to_vec(),
    };
    Ok(Wish {
        operation,
        path: path.to_owned(),
        roots: rooted(&runtime.config.tools.write_roots)?,
        bytes,
        overwrite: input["overwrite"].as_bool().unwrap_or(true),
        beside: chance::random(),
    })
}

/// In the first root that has the directory.
fn put(wish: &Wish) -> Result<Value> {
    let path = Path::new(&wish.path);
    check(&wish.path)?;
    if wish.bytes.len() > MOST_BYTES {
        return Err(said(path, "too_large", "more than 10 MB are not written at once"));
    }
    let mut missing = match wish.roots.as_slice() {
        [] => said(path, "not_found", "configure{tools={write_roots=}} names no directory"),
        _ => said(path, "not_found", "no such directory; operation \"mkdir\" makes one"),
    };
    for root in &wish.roots {
        match put_below(root, wish) {
            Ok(found) => return Ok(found),
            Err(Errno::NOENT) => {}
            Err(error) => missing = complaint(&wish.path, error),
        }
    }
    Err(missing)
}

fn complaint(path: &str, error: Errno) -> Error {
    let said = |reason, what| said(Path::new(path), reason, what);
    match error {
        Errno::LOOP => said("forbidden_path", "it is a link, or there is one on the way"),
        Errno::ISDIR => said("is_directory", "it is a directory"),
        Errno::EXIST => said("exists", "it is there already"),
        Errno::NOTDIR => said("not_a_directory", "a file stands where a directory is named"),
        Errno::NODEV => said("not_a_file", "it is no regular file"),
        Errno::XDEV => refusal(path, error),
        error => failed(Path::new(path), &error.into()),
    }
}

fn put_below(root: &Path, wish: &Wish) -> rustix::io::Result<Value> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = fs::open(root, flags, Mode::empty())?;
    let path = Path::new(&wish.path);
    if wish.operation == Operation::Mkdir {
        return make_directories(&root, path)
            .map(|made| json!({ "path": wish.path, "created": made }));
    }
    // "a/" is the name of a directory.
    let name = path.file_name().filter(|_| !wish.path.ends_with(['/', '.'])).ok_or(Errno::ISDIR)?;
    let folder = folder(&root, path.parent().unwrap_or(Path::new("")))?;
    let there = there(&folder, name)?;
    let size = match wish.operation {
        Operation::Append => append(&folder, name, &wish.bytes)?,
        _ => replace(&folder, name, there, wish)?,
    };
    Ok(json!({
        "path": wish.path,
        "bytes_written": wish.bytes.len(),
        "size": size,
        "created": there.is_none(),
    }))
}

fn folder(root: &OwnedFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let path = path.to_str().ok_or(Errno::INVAL)?;
    step_below(root.as_fd(), path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Reading, writing and running, for everybody. What runs as its owner or its group must not do so
/// with another's content.
const RIGHTS: Mode = Mode::from_raw_mode(0o777);

/// Its rights, if there is a file that may be written; `None` if there is nothing.
fn there(folder: &OwnedFd, name: &OsStr) -> rustix::io::Result<Option<Mode>> {
    match fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
        Ok(about) => match FileType::from_raw_mode(about.st_mode) {
            FileType::RegularFile => Ok(Some(Mode::from_raw_mode(about.st_mode) & RIGHTS)),
            FileType::Directory => Err(Errno::ISDIR),
            FileType::Symlink => Err(Errno::LOOP),
            _ => Err(Errno::NODEV),
        },
    }
}

const NEW: Mode = Mode::from_raw_mode(0o666);

fn append(folder: &OwnedFd, name: &OsStr, bytes: &[u8]) -> rustix::io::Result<u64> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW;
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = fs::openat(folder, name, flags, NEW)?;
    // Something else may have taken its place since it was looked at.
    if FileType::from_raw_mode(fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(Errno::NODEV);
    }
    let mut file = File::from(file);
    file.write_all(bytes).map_err(|error| errno(&error))?;
    Ok(u64::try_from(fs::fstat(&file)?.st_size).unwrap_or(0))
}

/// Whoever reads the file sees the old or the new one. It keeps its rights.
fn replace(
    folder: &OwnedFd,
    name: &OsStr,
    there: Option<Mode>,
    wish: &Wish,
) -> rustix::io::Result<u64> {
    if there.is_some() && !wish.overwrite {
        return Err(Errno::EXIST);
    }
    let (beside, file) = beside(folder, wish.beside)?;
    let put = fill(file, there, &wish.bytes).and_then(|()| match wish.overwrite {
        true => fs::renameat(folder, &beside, folder, name),
        // A link to it is refused where somebody was faster.
        false => fs::linkat(folder, &beside, folder, name, AtFlags::empty())
            .and_then(|()| fs::unlinkat(folder, &beside, AtFlags::empty())),
    });
    if put.is_err() {
        let _ = fs::unlinkat(folder, &beside, AtFlags::empty());
    }
    put.map(|()| wish.bytes.len() as u64)
}

/// A file that nobody else has, in the same directory.
fn beside(folder: &OwnedFd, chance: u64) -> rustix::io::Result<(OsString, OwnedFd)> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for number in 0..NAMES {
        let name = OsString::from(format!(".zigllms-{:016x}", chance.wrapping_add(number.into())));
        match fs::openat(folder, &name, flags, NEW) {
            Err(Errno::EXIST) => {}
            opened => return opened.map(|file| (name, file)),
        }
    }
    Err(Errno::EXIST)
}

fn fill(file: OwnedFd, there: Option<Mode>, bytes: &[u8]) -> rustix::io::Result<()> {
    if let Some(mode) = there {
        fs::fchmod(&file, mode)?;
    }
    let mut file = File::from(file);
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| errno(&error))
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// Whether something was made.
fn make_directories(root: &OwnedFd, path: &Path) -> rustix::io::Result<bool> {
    let mut made = false;
    let mut at = PathBuf::new();
    for part in path.components() {
        let above = at.clone();
        at.push(part);
        match folder(root, &at) {
            Err(Errno::NOENT) => {}
            opened => {
                opened?;
                continue;
            }
        }
        match fs::mkdirat(&folder(root, &above)?, part.as_os_str(), Mode::from_raw_mode(0o777)) {
            Ok(()) => made = true,
            // Somebody was faster, or it is a link to nothing.
            Err(Errno::EXIST) => drop(folder(root, &at).map_err(|_| Errno::LOOP)?),
            Err(error) => return Err(error),
        }
    }
    Ok(made)
}
