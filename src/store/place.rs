//! Which store, as `configure{store=}` names it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, quoted};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Place {
    /// No file: what is in it ends with the process.
    #[default]
    Memory,
    /// Absolute, so that it stays the same file wherever the process goes.
    Sqlite(PathBuf),
    Redis(Url),
    /// A file of lines: written to only, and no store that `configure` takes.
    Lines(PathBuf),
}

/// The address of a Redis server. It may hold a password, which is shown nowhere.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url(String);

impl Url {
    /// With the password: for who connects.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.0))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `redis://user:***@host`; what follows a `?` may be secret as well.
fn without_password(url: &str) -> String {
    let (url, asked) = match url.split_once('?') {
        Some((url, _)) => (url, "?***"),
        None => (url, ""),
    };
    let Some((scheme, rest)) = url.split_once("://") else { return format!("***{asked}") };
    let shown = match rest.rsplit_once('@') {
        None => rest.to_owned(),
        Some((who, host)) => match who.split_once(':') {
            Some((user, _)) => format!("{user}:***@{host}"),
            None => format!("{who}@{host}"),
        },
    };
    format!("{scheme}://{shown}{asked}")
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Memory => f.write_str("memory"),
            Place::Sqlite(path) | Place::Lines(path) => path.display().fmt(f),
            Place::Redis(url) => url.fmt(f),
        }
    }
}

const EXPECTED: &str = "\"memory\", the path of a file, \"sqlite:PATH\" or \"redis://HOST\"";

impl Place {
    /// `"memory"`, `"path.db"`, `"sqlite:path.db"` or `"redis://…"`; `name` is how messages call it.
    pub fn parse(text: &str, name: &str) -> Result<Place> {
        if text.eq_ignore_ascii_case("memory") {
            return Ok(Place::Memory);
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            return Place::sqlite(path, name);
        }
        match text.split_once("://") {
            Some(("redis" | "rediss" | "redis+unix" | "unix", _)) => Place::redis(text, name),
            Some((scheme, _)) => Err(Error::invalid(format!(
                "{name}: expected {EXPECTED}, got a URL of {}",
                quoted(scheme)
            ))),
            None => Place::sqlite(text, name),
        }
    }

    pub fn sqlite(path: &str, name: &str) -> Result<Place> {
        if path.is_empty() {
            return Err(Error::invalid(format!("{name}: expected the path of a file, got \"\"")));
        }
        if path.contains('\0') {
            return Err(Error::invalid(format!("{name}: a path with a zero byte in it")));
        }
        if path.eq_ignore_ascii_case(":memory:") {
            return Err(Error::invalid(format!("{name}: a store without a file is \"memory\"")));
        }
        let absolute = std::path::absolute(path);
        let absolute = absolute.map_err(|e| Error::invalid(format!("{name}: {e}")))?;
        Ok(Place::Sqlite(one_name(&absolute)))
    }

    /// A file of lines by its absolute path.
    pub fn lines(path: &Path) -> Place {
        Place::Lines(one_name(path))
    }

    #[cfg(feature = "redis")]
    pub fn redis(url: &str, name: &str) -> Result<Place> {
        super::redis::Address::parse(url).map_err(|error| error.at(name))?;
        Ok(Place::Redis(Url(url.to_owned())))
    }

    #[cfg(not(feature = "redis"))]
    pub fn redis(_: &str, name: &str) -> Result<Place> {
        Err(no_redis().at(name))
    }

    pub fn is_memory(&self) -> bool {
        matches!(self, Place::Memory)
    }
}

#[cfg(not(feature = "redis"))]
pub fn no_redis() -> Error {
    Error::unsupported("this build has no Redis: it is the cargo feature \"redis\"")
}

/// The same name for the same file, however its directory was called: all instances share it.
fn one_name(path: &Path) -> PathBuf {
    let (Some(directory), Some(file)) = (path.parent(), path.file_name()) else {
        return path.to_owned();
    };
    match directory.canonicalize() {
        Ok(directory) => directory.join(file),
        Err(_) => path.to_owned(), // opening it says what is wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn parse(text: &str) -> Result<Place> {
        Place::parse(text, "options.store")
    }

    #[test]
    fn a_path_is_absolute_and_one_file_has_one_name() {
        let here = std::env::current_dir().unwrap().canonicalize().unwrap();
        for name in ["s.db", "./s.db", "src/../s.db", "sqlite:s.db"] {
            assert_eq!(parse(name).unwrap(), Place::Sqlite(here.join("s.db")), "{name}");
        }
        let nowhere = "/no/such/directory/s.db";
        assert_eq!(parse(nowhere).unwrap(), Place::Sqlite(nowhere.into()));
    }

    #[test]
    fn what_names_no_store_is_refused() {
        assert_eq!(parse("Memory").unwrap(), Place::Memory);
        for bad in ["", "sqlite:", ":memory:", "sqlite::memory:", "a\0b", "http://host/"] {
            let error = parse(bad).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument, "{bad}");
            assert!(error.message().starts_with("options.store: "), "{error}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        for (url, shown) in [
            ("redis://host/0", "redis://host/0"),
            ("redis://user:pa:s@s@host/0", "redis://user:***@host/0"),
            ("redis://:secret@host", "redis://:***@host"),
            ("unix:///s.sock?pass=secret", "unix:///s.sock?***"),
            ("secret", "***"),
        ] {
            assert_eq!(without_password(url), shown);
            assert_eq!(format!("{:?}", Url(url.into())), shown);
        }
    }

    #[cfg(not(feature = "redis"))]
    #[test]
    fn a_build_without_redis_says_so() {
        let error = parse("redis://:secret@host").unwrap_err();
        assert_eq!(error.code(), Code::Unsupported);
        assert!(
            error.message().contains("feature \"redis\"") && !error.message().contains("secret")
        );
    }
}
