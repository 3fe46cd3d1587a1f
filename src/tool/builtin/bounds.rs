//! What built-in tools may reach: `configure{tools=}`.

use serde_json::{Map, Value, json};

use super::http::Private;
use super::programs::allow::Allowed;
use crate::error::{Error, Result};
use crate::shape::{Field, Kind, Options, Shape};
use crate::value::Ref;

static HTTP: Shape = Shape::new(
    "ToolHttpConfig",
    &[Field::new(
        "allow_private",
        Kind::OneOf(&[Kind::Bool, Kind::List(&Kind::Name)]),
        "false",
        "addresses that are not public: all of them, or these hosts, addresses and CIDR blocks",
    )],
    &[],
);

static ALLOWED: Shape = Shape::new(
    "AllowedProgram",
    &[
        Field::new("program", Kind::Name, "required", "a name on PATH, or an absolute path"),
        Field::new(
            "args",
            Kind::List(&Kind::Text),
            "any",
            "it gets arguments, the first of which is one of these; {} = it gets none",
        ),
    ],
    &[],
);

static PROCESS: Shape = Shape::new(
    "ToolProcessConfig",
    &[Field::new(
        "allow",
        Kind::List(&Kind::OneOf(&[Kind::Name, Kind::Table(&ALLOWED)])),
        "{}",
        "programs that `process_runner` may run",
    )],
    &[],
);

pub static TOOLS: Shape = Shape::new(
    "ToolsConfig",
    &[
        Field::new(
            "file_roots",
            Kind::List(&Kind::Name),
            "{\".\"}",
            "directories below which `file_reader` looks; {} = nowhere",
        ),
        Field::new("http", Kind::Table(&HTTP), "", "where `http_request` may go"),
        Field::new(
            "process",
            Kind::Table(&PROCESS),
            "",
            "which programs `process_runner` may run; without one it is not there",
        ),
        Field::new(
            "write_roots",
            Kind::List(&Kind::Name),
            "{}",
            "directories below which `file_writer` writes; without one it is not there",
        ),
    ],
    &[],
);

#[derive(Clone, Debug)]
pub struct Bounds {
    pub file_roots: Vec<String>,
    pub private: Private,
    pub allow: Vec<Allowed>,
    pub write_roots: Vec<String>,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            file_roots: vec![".".into()],
            private: Private::default(),
            allow: Vec::new(),
            write_roots: Vec::new(),
        }
    }
}

/// What the declaration cannot say; fails before anything is changed.
pub fn check(options: &Options<'_>) -> Result<()> {
    let Some(given) = options.get("tools") else { return Ok(()) };
    for key in ["file_roots", "write_roots"] {
        let mut roots = given.get(key).into_iter().flat_map(Ref::items).enumerate();
        if let Some((i, _)) = roots.find(|(_, root)| root.to_text().contains('\0')) {
            let place = format!("options.tools.{key}[{}]", i + 1);
            return Err(Error::invalid(format!("{place}: a path with a zero byte in it")));
        }
    }
    let allow = given.get("process").and_then(|process| process.get("allow"));
    for (i, entry) in allow.into_iter().flat_map(Ref::items).enumerate() {
        let placed = |e: Error| {
            Error::invalid(format!("options.tools.process.allow[{}]{}", i + 1, e.message()))
        };
        Allowed::of(&entry.to_json()).map_err(placed)?;
    }
    let private = given.get("http").and_then(|http| http.get("allow_private"));
    let private = private.map_or(Value::Null, Ref::to_json);
    let place = "options.tools.http.allow_private";
    let placed = |e: Error| Error::invalid(format!("{place}{}", e.message()));
    Private::of(&private).map(drop).map_err(placed)
}

impl Bounds {
    /// Merges what was checked; null restores what is usual.
    pub fn configure(&mut self, given: &Map<String, Value>) {
        let usual = Bounds::default();
        let text = |root: &Value| root.as_str().map(str::to_owned);
        list(&mut self.file_roots, given.get("file_roots"), usual.file_roots, text);
        list(&mut self.write_roots, given.get("write_roots"), usual.write_roots, text);
        match given.get("process") {
            Some(Value::Object(process)) => {
                list(&mut self.allow, process.get("allow"), usual.allow, |entry| {
                    Allowed::of(entry).ok()
                });
            }
            Some(Value::Null) => self.allow = usual.allow,
            _ => {}
        }
        match given.get("http") {
            Some(Value::Object(http)) => {
                if let Some(private) = http.get("allow_private") {
                    self.private = Private::of(private).unwrap_or_default();
                }
            }
            Some(_) => self.private = usual.private,
            None => {}
        }
    }

    pub fn shown(&self) -> Value {
        json!({
            "file_roots": self.file_roots,
            "http": { "allow_private": self.private.shown() },
            "process": { "allow": self.allow.iter().map(Allowed::shown).collect::<Vec<_>>() },
            "write_roots": self.write_roots,
        })
    }
}

/// A list that was given, possibly as an empty table; null restores what is usual.
fn list<T>(
    now: &mut Vec<T>,
    given: Option<&Value>,
    usual: Vec<T>,
    read: impl Fn(&Value) -> Option<T>,
) {
    match given {
        Some(Value::Array(items)) => *now = items.iter().filter_map(read).collect(),
        Some(Value::Object(_)) => now.clear(),
        Some(_) => *now = usual,
        None => {}
    }
}
