//! All tools that can be called by name: the registered ones, and the built-in ones behind them.

use std::cell::OnceCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use super::gate::Queue;
use super::{Bounds, Tool, builtin};
use crate::error::Result;
use crate::registry::Registry;

/// A tool with the id it is known by; inline ones go by their name.
#[derive(Clone, Debug)]
pub struct Usable {
    pub id: String,
    pub tool: Rc<Tool>,
}

/// The registered tools, and their built-in siblings once somebody asks for one.
pub struct Tools {
    registered: Registry<Rc<Tool>>,
    builtin: OnceCell<Vec<Rc<Tool>>>,
    bounds: Bounds,
    /// Who waits for a turn.
    pub queue: Queue,
}

impl Default for Tools {
    fn default() -> Tools {
        Tools {
            registered: Registry::new("tool"),
            builtin: OnceCell::new(),
            bounds: Bounds::default(),
            queue: Queue::default(),
        }
    }
}

impl Tools {
    /// Each instance has its own: they count their calls.
    fn siblings(&self) -> &[Rc<Tool>] {
        let make = |one: &&'static builtin::Builtin| Rc::new(one.tool(&self.bounds));
        self.builtin.get_or_init(|| builtin::ALL.iter().map(make).collect())
    }

    /// Those of them that are there within the bounds.
    fn builtins(&self) -> impl Iterator<Item = &Rc<Tool>> {
        let offered =
            |tool: &&Rc<Tool>| tool.builtin.is_some_and(|builtin| (builtin.offered)(&self.bounds));
        self.siblings().iter().filter(offered)
    }

    /// What built-in tools may reach has changed, and with it what some of them say of themselves.
    pub fn bound_by(&mut self, bounds: &Bounds) {
        self.bounds = bounds.clone();
        for tool in self.builtin.get_mut().into_iter().flatten() {
            if let Some(builtin) = tool.builtin
                && (builtin.parameters)(bounds) != tool.parameters()
            {
                *tool = Rc::new(builtin.tool(bounds));
            }
        }
    }

    /// The built-in tool of that name, in either form.
    pub fn builtin(&self, name: &str) -> Option<Rc<Tool>> {
        let found = builtin::find(name)?;
        self.builtins().find(|tool| tool.name == found.name).cloned()
    }

    /// The tool of that id or name: a registered one, else a built-in one, whose id is its name.
    pub fn usable(&self, key: &str) -> Result<Option<Usable>> {
        let registered = self.find(key)?;
        let registered =
            registered.and_then(|n| Some(Usable { id: self.id(n), tool: self.get(n)?.clone() }));
        let builtin = || self.builtin(key).map(|tool| Usable { id: tool.name.clone(), tool });
        Ok(registered.or_else(builtin))
    }

    /// Built-in tools whose name no registered tool has taken.
    pub fn unshadowed(&self) -> impl Iterator<Item = &Rc<Tool>> {
        let free = |tool: &&Rc<Tool>| self.registered.all_named(&tool.name).is_empty();
        self.builtins().filter(free)
    }

    /// Forgets what was registered, and what was counted.
    pub fn clear(&mut self) {
        self.registered.clear();
        self.builtin = OnceCell::new();
    }
}

impl Deref for Tools {
    type Target = Registry<Rc<Tool>>;

    fn deref(&self) -> &Registry<Rc<Tool>> {
        &self.registered
    }
}

impl DerefMut for Tools {
    fn deref_mut(&mut self) -> &mut Registry<Rc<Tool>> {
        &mut self.registered
    }
}
