//! Which programs may be run: `configure{tools={process={allow=}}}`.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::error::{Code, Error, Result, quoted};
use crate::process;

/// A program that may be run.
#[derive(Clone, Debug, PartialEq)]
pub struct Allowed {
    /// A name, looked for on `PATH`, or an absolute path.
    program: String,
    /// Its first argument must be one of these.
    first: Option<Vec<String>>,
}

impl Allowed {
    /// From an entry of the list; what is wrong with it begins with the place inside the entry.
    pub fn of(entry: &Value) -> Result<Allowed> {
        let program = entry.as_str().or_else(|| entry["program"].as_str());
        let program =
            program.ok_or_else(|| Error::invalid(".program: expected a string, got nil"))?;
        if program.contains('/') && !program.starts_with('/') || matches!(program, "." | "..") {
            let what = "expected a name without \"/\", or an absolute path";
            return Err(Error::invalid(format!(": {what}, got {}", quoted(program))));
        }
        if program.contains('\0') {
            return Err(Error::invalid(": a name with a zero byte in it"));
        }
        let words = entry.get("args").filter(|args| !args.is_null()).map(|args| {
            args.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned)
        });
        Ok(Allowed { program: program.to_owned(), first: words.map(Iterator::collect) })
    }

    pub fn shown(&self) -> Value {
        match &self.first {
            None => self.program.as_str().into(),
            Some(first) => json!({ "program": self.program, "args": first }),
        }
    }

    /// As a model is told.
    pub fn in_words(&self) -> String {
        match self.first.as_deref() {
            None => self.program.clone(),
            Some([]) => format!("{} (without arguments)", self.program),
            Some(first) => format!("{} (first argument: {})", self.program, first.join(", ")),
        }
    }

    /// A program of an absolute path may be called by its name alone.
    fn is_called(&self, word: &str) -> bool {
        let name = self.program.rsplit('/').next();
        self.program == word || self.program.starts_with('/') && name == Some(word)
    }

    fn admits(&self, args: &[String]) -> bool {
        match (&self.first, args.first()) {
            (None, _) => true,
            // A program that is started without arguments may read what to do from its input.
            (Some(allowed), None) => allowed.is_empty(),
            (Some(allowed), Some(first)) => allowed.contains(first),
        }
    }

    fn path(&self) -> Result<PathBuf> {
        let path = PathBuf::from(&self.program);
        if path.is_absolute() {
            return Ok(path);
        }
        process::find(&self.program, &process::search_path()).ok_or_else(|| {
            refused("not_found", &format!("there is no program {} on PATH", quoted(&self.program)))
        })
    }
}

/// The file of a program that may be run with these arguments.
pub fn permitted(allow: &[Allowed], program: &str, args: &[String]) -> Result<PathBuf> {
    let mut called = allow.iter().filter(|one| one.is_called(program)).peekable();
    if called.peek().is_none() {
        let text = format!("the program {} is not permitted; {}", quoted(program), listed(allow));
        return Err(refused("not_allowed", &text));
    }
    match called.find(|one| one.admits(args)) {
        Some(found) => found.path(),
        None => {
            let first = args.first().map(String::as_str).unwrap_or_default();
            let text = format!(
                "{program}: the first argument {} is not permitted; {}",
                quoted(first),
                listed(allow)
            );
            Err(refused("not_allowed", &text))
        }
    }
}

fn listed(allow: &[Allowed]) -> String {
    if allow.is_empty() {
        return "configure{tools={process={allow=}}} permits none".into();
    }
    let all: Vec<String> = allow.iter().map(Allowed::in_words).collect();
    format!("permitted are {}", all.join(", "))
}

pub fn refused(reason: &str, text: &str) -> Error {
    let details = json!({ "reason": reason });
    Error::new(Code::IoError, text).with(|f| f.details = Some(details))
}
