//! What built-in tools may reach: `configure{tools=}`.

use serde_json::{Map, Value, json};

use super::http::Private;
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
        Field::new("process", Kind::Absent("process_runner"), "", ""),
        Field::new("write_roots", Kind::Absent("file_writer"), "", ""),
    ],
    &[],
);

#[derive(Clone, Debug)]
pub struct Bounds {
    pub file_roots: Vec<String>,
    pub private: Private,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { file_roots: vec![".".into()], private: Private::default() }
    }
}

/// What the declaration cannot say; fails before anything is changed.
pub fn check(options: &Options<'_>) -> Result<()> {
    let Some(given) = options.get("tools") else { return Ok(()) };
    let roots = given.get("file_roots").into_iter().flat_map(Ref::items).enumerate();
    for (i, root) in roots {
        if root.to_text().contains('\0') {
            let place = format!("options.tools.file_roots[{}]", i + 1);
            return Err(Error::invalid(format!("{place}: a path with a zero byte in it")));
        }
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
        match given.get("file_roots") {
            Some(Value::Array(roots)) => {
                self.file_roots =
                    roots.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            }
            // An empty table.
            Some(Value::Object(_)) => self.file_roots.clear(),
            Some(_) => self.file_roots = usual.file_roots,
            None => {}
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
        })
    }
}
