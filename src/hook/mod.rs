//! Hooks: functions around operations.

use std::collections::HashMap;
use std::rc::Rc;

use crate::registry::Registry;
use crate::value::{Data, Record};

pub mod point;
mod record;

pub use point::{
    CLEANUP, OPERATIONS, Operation, Type, check, covers, is_glob, is_point, names, operation,
};
pub use record::{Hook, Scope, Stats};

/// Priorities that have a name.
pub const PRIORITIES: &[(&str, f64)] =
    &[("highest", 1000.0), ("high", 100.0), ("normal", 0.0), ("low", -100.0), ("lowest", -1000.0)];

pub fn priority(name: &str) -> Option<f64> {
    PRIORITIES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, value)| *value)
}

/// The hooks of one operation, each list in the order in which they run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub init: Vec<u64>,
    pub pre: Vec<u64>,
    pub around: Vec<u64>,
    pub post: Vec<u64>,
    pub error: Vec<u64>,
    /// Some are for one object only, or for the first run only.
    picky: bool,
}

impl Plan {
    fn lists(&mut self) -> [&mut Vec<u64>; 5] {
        [&mut self.init, &mut self.pre, &mut self.around, &mut self.post, &mut self.error]
    }

    pub fn is_empty(&self) -> bool {
        [&self.init, &self.pre, &self.around, &self.post, &self.error].iter().all(|l| l.is_empty())
    }
}

#[derive(Debug)]
pub struct Hooks {
    all: Registry<Hook>,
    /// How many enabled hooks may run at each of [`PLACES`].
    counts: [usize; PLACES],
    /// What the registry was when the plan of an operation was made.
    plans: HashMap<&'static str, (u64, Rc<Plan>)>,
}

/// The operations, and agents being destroyed.
const PLACES: usize = OPERATIONS.len() + 1;

impl Default for Hooks {
    fn default() -> Hooks {
        Hooks { all: Registry::new("hook"), counts: [0; PLACES], plans: HashMap::new() }
    }
}

impl Hooks {
    pub fn all(&self) -> &Registry<Hook> {
        &self.all
    }

    pub fn add(&mut self, hook: Hook) -> u64 {
        self.count(&places_of(&hook), hook.enabled, 1);
        self.all.insert(hook)
    }

    pub fn remove(&mut self, number: u64) -> Option<Hook> {
        let hook = self.all.remove(number)?;
        self.count(&places_of(&hook), hook.enabled, -1);
        Some(hook)
    }

    pub fn enable(&mut self, number: u64, on: bool) {
        let changing = self.all.get(number).filter(|hook| hook.enabled != on).map(places_of);
        if let (Some(places), Some(hook)) = (changing, self.all.get_mut(number)) {
            hook.enabled = on;
            self.count(&places, true, if on { 1 } else { -1 });
        }
    }

    pub fn clear(&mut self) {
        self.all.clear();
        self.counts = [0; PLACES];
    }

    fn count(&mut self, places: &[bool; PLACES], enabled: bool, change: isize) {
        for (count, here) in self.counts.iter_mut().zip(places) {
            if *here && enabled {
                *count = count.saturating_add_signed(change);
            }
        }
    }

    /// The hook that is to be called now: it may have gone, or been disabled, since it was planned.
    /// One that runs once is taken out. Answers whether it was.
    pub fn take(&mut self, number: u64) -> Option<(Taken, bool)> {
        let hook = self.all.get(number).filter(|hook| hook.enabled)?;
        let (taken, once) = (Taken::of(hook), hook.once);
        if once {
            self.remove(number);
        }
        Some((taken, once))
    }

    /// Numbers of the enabled hooks that `wanted` accepts, in the order in which they run.
    fn in_order(&self, wanted: impl Fn(&Hook) -> bool) -> Vec<u64> {
        let mut found: Vec<_> =
            self.all.iter().filter(|(_, hook)| hook.enabled && wanted(hook)).collect();
        found.sort_by(|(_, a), (_, b)| a.order(b));
        found.into_iter().map(|(number, _)| number).collect()
    }

    /// All hooks in the order in which they run, also those that are disabled.
    pub fn listed(&self) -> Vec<(u64, &Hook)> {
        let mut all: Vec<_> = self.all.iter().collect();
        all.sort_by(|(_, a), (_, b)| a.order(b));
        all
    }

    /// Hooks by a name: what `hook.execute` runs. At a built-in point those of its types.
    pub fn named(&self, name: &str, about: &Record) -> Vec<u64> {
        let named = |hook: &Hook| {
            !hook.name.is_empty() && covers(&hook.name, name) && check(name, hook.kind).is_ok()
        };
        self.in_order(|hook| named(hook) && hook.concerns(about))
    }

    /// The hooks of an operation; `about` tells what it is about, and is asked only if that counts.
    pub fn plan(&mut self, operation: &str, about: impl FnOnce() -> Record) -> Rc<Plan> {
        let Some(operation) = point::operation(operation) else { return Rc::default() };
        let plan = self.planned(operation);
        if plan.picky { Rc::new(self.picked(&plan, &about())) } else { plan }
    }

    fn planned(&mut self, operation: &'static Operation) -> Rc<Plan> {
        let changes = self.all.changes();
        if let Some((_, plan)) = self.plans.get(operation.name).filter(|(at, _)| *at == changes) {
            return plan.clone();
        }
        let plan = Rc::new(self.made(operation));
        self.plans.insert(operation.name, (changes, plan.clone()));
        plan
    }

    fn made(&self, operation: &Operation) -> Plan {
        let at = |kind: Type, point: &str| {
            self.in_order(|hook| hook.kind == kind && operation.runs(&hook.name, kind, point))
        };
        let mut plan = Plan {
            init: at(Type::Pre, operation.init),
            pre: at(Type::Pre, operation.pre),
            around: at(Type::Around, operation.name),
            post: at(Type::Post, operation.post),
            error: at(Type::Error, operation.error),
            picky: false,
        };
        let scoped = |n: &u64| self.all.get(*n).is_some_and(|hook| !hook.scopes.is_empty());
        plan.picky = !plan.init.is_empty() || plan.lists().iter().any(|l| l.iter().any(scoped));
        plan
    }

    /// What is left of a plan for what an operation is about.
    fn picked(&self, plan: &Plan, about: &Record) -> Plan {
        let mut plan = plan.clone();
        if !matches!(about.get("first_run"), Some(Data::Bool(true))) {
            plan.init.clear();
        }
        for list in plan.lists() {
            list.retain(|n| self.all.get(*n).is_some_and(|hook| hook.concerns(about)));
        }
        plan
    }

    /// Operations, and points without one, at which an enabled hook may run.
    pub fn hooked(&self) -> impl Iterator<Item = &'static str> {
        let names = OPERATIONS.iter().map(|operation| operation.name).chain([CLEANUP]);
        names.zip(self.counts).filter(|(_, count)| *count > 0).map(|(name, _)| name)
    }

    /// Whether an enabled hook may run around that operation.
    pub fn is_hooked(&self, operation: &str) -> bool {
        // Asked at every call of memory: mostly there are no hooks at all.
        self.counts != [0; PLACES] && self.hooked().any(|name| name == operation)
    }
}

/// Where a hook may run.
fn places_of(hook: &Hook) -> [bool; PLACES] {
    let mut places = [false; PLACES];
    for (place, operation) in places.iter_mut().zip(OPERATIONS) {
        *place = operation.has(&hook.name, hook.kind);
    }
    if let Some(last) = places.last_mut() {
        *last = hook.kind == Type::Post && covers(&hook.name, CLEANUP);
    }
    places
}

/// What a call of a hook needs of it: the hook itself may go meanwhile.
#[derive(Debug)]
pub struct Taken {
    pub name: String,
    pub kind: Type,
    pub callback: crate::value::Slot,
    pub timeout_ms: Option<f64>,
    pub metadata: Option<serde_json::Value>,
}

impl Taken {
    fn of(hook: &Hook) -> Taken {
        Taken {
            name: hook.name.clone(),
            kind: hook.kind,
            callback: hook.callback.clone(),
            timeout_ms: hook.timeout_ms,
            metadata: hook.metadata.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
