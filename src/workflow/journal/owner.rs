//! Who has a run, and whether that process still lives.

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::Owner;

impl Owner {
    /// This process.
    pub fn here() -> Owner {
        let pid = std::process::id();
        Owner {
            host: line("/proc/sys/kernel/hostname"),
            boot: world(),
            pid,
            start: start_of(pid).unwrap_or_default(),
        }
    }

    /// It is known to live no more. Of processes of other machines nothing is known.
    pub fn is_gone(&self) -> bool {
        let world = world();
        if world.is_empty() || self.boot != world {
            return false;
        }
        match start_of(self.pid) {
            Some(start) => start != self.start,
            // There is none, or it has ended, or it is not ours to see.
            None => is_no_more(self.pid),
        }
    }
}

fn line(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// Processes that see each other by number: of one machine since it was switched on, in one
/// container. Empty where that is not known.
fn world() -> String {
    let boot = line("/proc/sys/kernel/random/boot_id");
    match std::fs::read_link("/proc/self/ns/pid") {
        Ok(space) if !boot.is_empty() => format!("{boot} {}", space.display()),
        _ => String::new(),
    }
}

fn status(pid: u32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

/// When a process began; `None` of one that has ended, though its parent may not know yet.
fn start_of(pid: u32) -> Option<u64> {
    let status = status(pid)?;
    // Its name, in parentheses, may be anything.
    let mut fields = status.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X" | "x")).then_some(start)
}

fn is_no_more(pid: u32) -> bool {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let asked = number.map(test_kill_process);
    status(pid).is_some() || !matches!(asked, Some(Ok(()) | Err(Errno::PERM)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_one_that_has_ended_does_not() {
        let me = Owner::here();
        assert!(!me.is_gone() && me == Owner::here());
        assert!(Owner { start: me.start + 1, ..me.clone() }.is_gone());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let theirs = |pid| Owner { pid, start: start_of(pid).unwrap_or(1), ..me.clone() };
        let other = theirs(child.id());
        child.wait().unwrap();
        assert!(other.is_gone());
        assert!(!Owner { boot: "elsewhere".into(), ..other }.is_gone());
    }
}
