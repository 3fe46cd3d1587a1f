//! `system_info`: the machine the program runs on, and the time there.

use serde_json::{Value, json};

use super::{Builtin, Work};
use crate::error::Result;
use crate::runtime::Runtime;

pub static SYSTEM_INFO: Builtin = Builtin {
    name: "system_info",
    aliases: &[],
    description: "Tells the operating system, the processor architecture, how many processors can be used, the memory in bytes, \
                  and the current time (unix seconds, and UTC as text).",
    category: "system",
    capabilities: &[],
    parameters: |_| json!({ "type": "object", "properties": {} }),
    returns: || json!({ "type": "object" }),
    offered: |_| true,
    start,
};

fn start(runtime: &Runtime, _: Value) -> Result<Work> {
    let unix = runtime.clock.unix();
    Ok(Work::Done(json!({
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
        "cpus": std::thread::available_parallelism().map_or(1, |count| count.get()),
        "memory": memory(),
        "time": { "unix": unix, "utc": utc(unix as i64) },
    })))
}

/// Where the system tells it in a file; else nothing is known.
fn memory() -> Value {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let mut memory = json!({});
    for (name, row) in [("total_bytes", "MemTotal"), ("available_bytes", "MemAvailable")] {
        if let Some(kib) = bytes(row) {
            memory[name] = (kib * 1024).into();
        }
    }
    memory
}

/// `2026-01-31T12:00:00Z`
fn utc(unix: i64) -> String {
    let (days, second) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    // Years begin in March here, so that leap days come last; an era has 400 of them.
    let since = days + 719_468;
    let (era, day) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn seconds_become_a_date() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_767_225_599), "2025-12-31T23:59:59Z");
        assert_eq!(utc(4_107_542_400), "2100-03-01T00:00:00Z");
    }
}
