use super::*;
use crate::value::Slots;

fn hook(name: &str) -> Hook {
    Hook::new(name, Type::of(name), Slots::default().take())
}

fn nothing() -> Record {
    Record::new()
}

#[test]
fn higher_priorities_run_first_then_those_registered_first() {
    let mut hooks = Hooks::default();
    for priority in [0.0, 100.0, 0.0, -5.5, f64::INFINITY] {
        hooks.add(Hook { priority, ..hook("tool_before_execute") });
    }
    assert_eq!(hooks.plan("tool_execute", nothing).pre, [5, 2, 1, 3, 4]);
}

#[test]
fn a_plan_follows_every_change() {
    let mut hooks = Hooks::default();
    assert!(!hooks.is_hooked("tool_execute"));
    let number = hooks.add(hook("tool_*"));
    assert_eq!(hooks.plan("tool_execute", nothing).post, [number]);
    assert_eq!(hooks.hooked().collect::<Vec<_>>(), ["tool_execute"]);
    hooks.enable(number, false);
    assert!(!hooks.is_hooked("tool_execute"));
    assert!(hooks.plan("tool_execute", nothing).is_empty());
    hooks.enable(number, true);
    assert!(hooks.is_hooked("tool_execute"));
    hooks.remove(number);
    assert!(!hooks.is_hooked("tool_execute"));
}

#[test]
fn a_scoped_hook_is_for_its_object_only() {
    let mut hooks = Hooks::default();
    let scopes = vec![Scope { of: "agent", id: "agent_7".into() }];
    let number = hooks.add(Hook { scopes, ..hook("tool_execute") });
    let about = |id: &str| Record::new().set("agent_id", id).set("tool_id", "tool_1");
    assert!(hooks.is_hooked("tool_execute"));
    assert_eq!(hooks.plan("tool_execute", || about("agent_7")).around, [number]);
    assert!(hooks.plan("tool_execute", || about("agent_8")).is_empty());
    assert!(hooks.plan("tool_execute", nothing).is_empty());
}

#[test]
fn agent_init_runs_before_the_first_run_only() {
    let mut hooks = Hooks::default();
    let number = hooks.add(hook("agent_init"));
    let first = |yes: bool| move || Record::new().set("first_run", yes);
    assert_eq!(hooks.plan("agent_run", first(true)).init, [number]);
    assert!(hooks.plan("agent_run", first(false)).is_empty());
    let around = hooks.add(Hook { kind: Type::Around, ..hook("agent_init") });
    assert_eq!(hooks.plan("agent_run", first(false)).around, [around]);
}

#[test]
fn a_hook_that_runs_once_is_taken_out_by_its_call() {
    let mut hooks = Hooks::default();
    let number = hooks.add(Hook { once: true, ..hook("custom") });
    assert_eq!(hooks.named("custom", &nothing()), [number]);
    let (taken, once) = hooks.take(number).unwrap();
    assert!(once && taken.name == "custom");
    assert!(hooks.take(number).is_none());
    assert!(hooks.named("custom", &nothing()).is_empty());
}

#[test]
fn what_is_hooked_is_counted_through_every_change() {
    let mut hooks = Hooks::default();
    let all = |hooks: &Hooks| hooks.hooked().collect::<Vec<_>>();
    let (a, b) = (hooks.add(hook("agent_*")), hooks.add(hook("agent_init")));
    assert_eq!(all(&hooks), ["agent_run", "agent_cleanup"]);
    hooks.enable(a, false);
    hooks.enable(a, false);
    assert_eq!(all(&hooks), ["agent_run"]);
    hooks.remove(b);
    assert!(all(&hooks).is_empty());
    hooks.remove(a);
    hooks.add(Hook { once: true, ..hook("memory_before_save") });
    assert!(hooks.is_hooked("memory_save"));
    hooks.take(3);
    assert!(!hooks.is_hooked("memory_save"));
    hooks.add(Hook { enabled: false, ..hook("*") });
    assert!(all(&hooks).is_empty());
    hooks.clear();
    assert!(all(&hooks).is_empty());
}

#[test]
fn a_glob_stands_for_points_of_its_type() {
    let mut hooks = Hooks::default();
    let post = hooks.add(hook("agent_*"));
    let pre = hooks.add(Hook { kind: Type::Pre, ..hook("agent_*") });
    let around = hooks.add(Hook { kind: Type::Around, ..hook("*") });
    assert_eq!(hooks.named("agent_cleanup", &nothing()), [post]);
    assert_eq!(hooks.named("agent_before_run", &nothing()), [pre, around]);
    assert_eq!(hooks.named("agent_of_mine", &nothing()), [pre, around, post]);
}

#[test]
fn what_has_no_name_is_in_no_plan() {
    let mut hooks = Hooks::default();
    hooks.add(hook(""));
    assert_eq!(hooks.hooked().count(), 0);
    assert!(hooks.named("", &nothing()).is_empty());
}

#[test]
fn priorities_have_names() {
    assert_eq!(priority("High"), Some(100.0));
    assert_eq!(priority("urgent"), None);
}
