//! The Model Context Protocol, both ways: tools of other programs as tools here, and tools of here
//! for other programs.
//!
//! A [`Remote`] is one server: a process of ours that talks over its standard input and output, or
//! an HTTP server. What it says arrives on threads, in a [`mailbox`]; whoever waits for an answer is
//! woken and looks there. A remote has no machine of its own: each call that needs it steps its
//! handshake on, so no call depends on the fate of another.

mod call;
mod child;
mod content;
mod document;
mod greeting;
mod import;
mod lines;
mod link;
mod mailbox;
mod names;
mod outline;
mod pin;
mod remote;
mod rpc;
mod serve;
mod spawn;
mod talk;
mod web;

pub use import::{IMPORT, Import};
pub use remote::{Remote, Remotes};
pub use serve::{SERVE, Serve};

/// Revisions of the protocol that are spoken here, the one that is asked for last.
const VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

const LATEST: &str = "2025-11-25";

/// Longest message, in bytes.
const LONGEST: usize = 10 << 20;

/// Tools of one server.
const MOST_TOOLS: usize = 1000;

/// Answers to `tools/list` before somebody is taken to turn in circles.
const MOST_PAGES: usize = 100;
