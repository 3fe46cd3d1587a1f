//! `zigllms.test`: agents tested without a network and without a key.

mod fixture;
mod scenario;
mod suite;

use crate::lua::bridge::{Bridge, Constants};

pub static BRIDGE: Bridge = Bridge {
    name: "test",
    doc: "Agents, tools and workflows tested without a network and without a key.",
    constants: &[
        Constants {
            name: "AssertType",
            members: &[
                ("EQUALS", "equals"),
                ("CONTAINS", "contains"),
                ("MATCHES", "matches"),
                ("THROWS", "throws"),
            ],
        },
        Constants {
            name: "MockType",
            members: &[("FUNCTION", "function"), ("OBJECT", "object"), ("SERVICE", "service")],
        },
    ],
    functions: &[
        scenario::CREATE,
        scenario::RUN,
        fixture::SETUP,
        suite::RUN,
        suite::SKIP,
    ],
};
