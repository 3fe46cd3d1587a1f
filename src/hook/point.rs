//! Points: where hooks attach, and which operation each point belongs to.

use crate::error::{Error, Result};
use crate::value::glob;

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    Pre,
    Around,
    Post,
    Error,
}

impl Type {
    pub const NAMES: &'static [&'static str] = &["pre", "post", "around", "error"];

    pub fn name(self) -> &'static str {
        match self {
            Type::Pre => "pre",
            Type::Around => "around",
            Type::Post => "post",
            Type::Error => "error",
        }
    }

    pub fn parse(name: &str) -> Option<Type> {
        let all = [Type::Pre, Type::Around, Type::Post, Type::Error];
        all.into_iter().find(|kind| kind.name() == name)
    }

    /// What a hook of that name is, unless it is said.
    pub fn of(name: &str) -> Type {
        match name {
            name if operation(name).is_some() => Type::Around,
            name if name.contains("_before_") => Type::Pre,
            name if name.ends_with("_init") || name.ends_with("_start") => Type::Pre,
            name if name.ends_with("_error") => Type::Error,
            _ => Type::Post,
        }
    }
}

/// An operation with its points; empty where it has none.
#[derive(Debug)]
pub struct Operation {
    pub name: &'static str,
    /// Before the first of its kind.
    pub init: &'static str,
    pub pre: &'static str,
    pub post: &'static str,
    pub error: &'static str,
}

impl Operation {
    /// Its point for hooks of that type; an AROUND hook is around the operation itself.
    pub fn point(&self, kind: Type) -> &'static str {
        match kind {
            Type::Pre => self.pre,
            Type::Around => self.name,
            Type::Post => self.post,
            Type::Error => self.error,
        }
    }

    fn points(&self) -> impl Iterator<Item = (&'static str, Type)> {
        let all = [
            (self.init, Type::Pre),
            (self.pre, Type::Pre),
            (self.post, Type::Post),
            (self.error, Type::Error),
        ];
        all.into_iter().filter(|(name, _)| !name.is_empty())
    }

    /// The type of the hooks that a name stands for here: the operation's own are AROUND.
    pub fn runs_at(&self, name: &str) -> Option<Type> {
        let around = (self.name == name).then_some(Type::Around);
        around.or_else(|| self.points().find(|(point, _)| *point == name).map(|(_, kind)| kind))
    }

    /// Whether hooks of that name and type run at `point`, or around the operation.
    pub fn runs(&self, name: &str, kind: Type, point: &str) -> bool {
        match kind {
            _ if point.is_empty() => false,
            Type::Around => {
                covers(name, self.name) || self.points().any(|(own, _)| covers(name, own))
            }
            _ => covers(name, point) || (name == self.name && point == self.point(kind)),
        }
    }

    /// Whether hooks of that name and type run anywhere about the operation.
    pub fn has(&self, name: &str, kind: Type) -> bool {
        self.runs(name, kind, self.point(kind))
            || (kind == Type::Pre && self.runs(name, kind, self.init))
    }
}

const fn of(
    name: &'static str,
    pre: &'static str,
    post: &'static str,
    error: &'static str,
) -> Operation {
    Operation { name, init: "", pre, post, error }
}

pub static OPERATIONS: &[Operation] = &[
    Operation {
        name: "agent_run",
        init: "agent_init",
        pre: "agent_before_run",
        post: "agent_after_run",
        error: "agent_error",
    },
    of("tool_execute", "tool_before_execute", "tool_after_execute", "tool_error"),
    of("workflow_execute", "workflow_start", "workflow_complete", "workflow_error"),
    of("workflow_step", "workflow_step_start", "workflow_step_complete", "workflow_step_error"),
    of("provider_request", "provider_before_request", "provider_after_response", "provider_error"),
    of("memory_save", "memory_before_save", "", ""),
    of("memory_load", "", "memory_after_load", ""),
];

/// The point without an operation: an agent is destroyed.
pub const CLEANUP: &str = "agent_cleanup";

pub fn operation(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

/// The names of all operations and built-in points.
pub fn names() -> impl Iterator<Item = &'static str> {
    let of = |operation: &'static Operation| {
        [operation.name].into_iter().chain(operation.points().map(|(name, _)| name))
    };
    OPERATIONS.iter().flat_map(of).chain([CLEANUP]).filter(|name| !name.is_empty())
}

/// Whether it is the name of a built-in point.
pub fn is_point(name: &str) -> bool {
    name == CLEANUP || OPERATIONS.iter().flat_map(Operation::points).any(|(own, _)| own == name)
}

/// Whether a name stands for several.
pub fn is_glob(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// Whether the name of a hook, which may be a glob, stands for `other`.
pub fn covers(name: &str, other: &str) -> bool {
    name == other || (is_glob(name) && glob::matches(name, other))
}

/// Longest name, in bytes: globs are matched against every point.
const LONGEST: usize = 1000;

/// Refuses a name that is none, and a type that a built-in point or operation has no place for.
pub fn check(name: &str, kind: Type) -> Result<()> {
    if name.len() > LONGEST {
        return Err(Error::invalid(format!("name: expected at most {LONGEST} bytes")));
    }
    let wrong = |own: &str| {
        let kind = kind.name();
        Err(Error::invalid(format!("hooks at {name} are {own}, not of type \"{kind}\"")))
    };
    if name == CLEANUP && kind != Type::Post {
        return wrong("of type \"post\"");
    }
    if let Some(operation) = operation(name) {
        return match operation.point(kind) {
            "" => wrong(&types_of(operation)),
            _ => Ok(()),
        };
    }
    let points = OPERATIONS.iter().flat_map(Operation::points);
    match points.into_iter().find(|(point, _)| *point == name) {
        Some((_, own)) if kind != own && kind != Type::Around => {
            wrong(&format!("of type \"{}\" or \"around\"", own.name()))
        }
        _ => Ok(()),
    }
}

fn types_of(operation: &Operation) -> String {
    let all = [Type::Pre, Type::Post, Type::Around, Type::Error];
    let has = all.into_iter().filter(|kind| !operation.point(*kind).is_empty());
    let names: Vec<_> = has.map(|kind| format!("\"{}\"", kind.name())).collect();
    format!("of type {}", names.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_type() {
        for (name, kind) in [
            ("tool_before_execute", Type::Pre),
            ("agent_init", Type::Pre),
            ("workflow_start", Type::Pre),
            ("workflow_step_start", Type::Pre),
            ("tool_after_execute", Type::Post),
            ("workflow_complete", Type::Post),
            ("agent_cleanup", Type::Post),
            ("provider_error", Type::Error),
            ("memory_save", Type::Around),
            ("agent_run", Type::Around),
            ("my_own", Type::Post),
            ("my_before_all", Type::Pre),
            ("tool_*", Type::Post),
        ] {
            assert_eq!(Type::of(name), kind, "{name}");
        }
    }

    #[test]
    fn a_point_takes_its_own_type_and_around() {
        assert!(check("tool_before_execute", Type::Pre).is_ok());
        assert!(check("tool_before_execute", Type::Around).is_ok());
        let error = check("tool_before_execute", Type::Post).unwrap_err();
        assert_eq!(
            error.message(),
            "hooks at tool_before_execute are of type \"pre\" or \"around\", not of type \"post\""
        );
        assert!(check("agent_cleanup", Type::Around).is_err());
        for kind in [Type::Pre, Type::Around, Type::Post, Type::Error] {
            assert!(check("tool_execute", kind).is_ok());
            assert!(check("my_own", kind).is_ok());
            assert!(check("tool_*", kind).is_ok());
        }
        let error = check("memory_save", Type::Post).unwrap_err();
        assert!(error.message().contains("of type \"pre\" or \"around\""), "{}", error.message());
    }

    #[test]
    fn names_meet_points() {
        let tool = operation("tool_execute").unwrap();
        assert!(tool.runs("tool_before_execute", Type::Pre, tool.pre));
        assert!(tool.runs("tool_execute", Type::Pre, tool.pre));
        assert!(tool.runs("tool_*", Type::Post, tool.post));
        assert!(tool.runs("*", Type::Error, tool.error));
        assert!(tool.runs("tool_error", Type::Around, tool.name));
        assert!(tool.runs("*_after_*", Type::Around, tool.name));
        assert!(!tool.runs("agent_*", Type::Around, tool.name));
        assert!(!tool.runs("tool_execute_2", Type::Around, tool.name));
        let agent = operation("agent_run").unwrap();
        assert!(agent.runs("agent_init", Type::Pre, agent.init));
        assert!(!agent.runs("agent_run", Type::Pre, agent.init));
    }
}
