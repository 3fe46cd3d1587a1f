//! How a server's tools are called here.

use ring::digest::{SHA256, digest};

use super::pin::Definition;
use crate::value::glob;

/// What providers accept.
const LONGEST: usize = 64;

/// `<prefix>_<name>`, with `_` for every sign that providers do not accept. What is too long ends
/// with a part of its hash, so that long names stay apart.
pub fn local(prefix: Option<&str>, name: &str) -> String {
    let whole = prefix.map_or_else(|| name.to_owned(), |prefix| format!("{prefix}_{name}"));
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut local: String = whole.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    if local.len() > LONGEST {
        let hash = digest(&SHA256, whole.as_bytes());
        let hash: String = hash.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        local.truncate(LONGEST - 1 - hash.len());
        local = format!("{local}_{hash}");
    }
    local
}

/// Which tools are wanted.
#[derive(Debug, Default)]
pub struct Wanted {
    pub include: Option<Vec<String>>,
    pub exclude: Vec<String>,
}

impl Wanted {
    pub fn admits(&self, tool: &Definition) -> bool {
        let any = |globs: &[String]| matches(globs, &tool.name);
        self.include.as_deref().is_none_or(any) && !any(&self.exclude)
    }
}

pub fn matches(globs: &[String], name: &str) -> bool {
    globs.iter().any(|pattern| glob::matches(pattern, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_fit_for_providers() {
        assert_eq!(local(None, "read_file"), "read_file");
        assert_eq!(local(Some("fs"), "read file/ä.x"), "fs_read_file___x");
        let (long, other) = ("x".repeat(80), format!("{}y", "x".repeat(79)));
        let (a, b) = (local(Some("a"), &long), local(Some("a"), &other));
        assert_eq!((a.len(), b.len()), (64, 64));
        assert_ne!(a, b);
        assert!(a.starts_with("a_xxx"));
    }
}
