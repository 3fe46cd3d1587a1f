//! The filter every `list` function takes.

use crate::lua::args::Args;
use crate::shape::{Field, Kind, Options, Shape};
use crate::value::glob;

pub static LIST: Shape = Shape::new(
    "ListFilter",
    &[
        Field::new("ids", Kind::Bool, "false", "an array of ids instead of tables"),
        Field::new(
            "name",
            Kind::Text,
            "",
            "a name; `*` stands for any text, `?` for any character",
        ),
    ],
    &[],
);

pub struct Wanted {
    pub ids: bool,
    name: Option<String>,
}

impl Wanted {
    pub fn from(args: &Args<'_>, at: usize) -> Wanted {
        Wanted::of(&args.options(at, &LIST))
    }

    /// What a filter with more fields says of these.
    pub fn of(options: &Options<'_>) -> Wanted {
        Wanted { ids: options.bool("ids") == Some(true), name: options.text("name") }
    }

    pub fn name(&self, name: &str) -> bool {
        self.name.as_deref().is_none_or(|pattern| glob::matches(pattern, name))
    }
}
