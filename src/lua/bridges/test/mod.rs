//! `zigllms.test`: agents tested without a network and without a key.

use crate::lua::bridge::{Bridge, Constants};

mod assert;
mod cassette;
mod clock;
mod coverage;
mod fixture;
mod mock;
mod scenario;
mod suite;

pub use cassette::{OPTIONS as CASSETTE, PATH as CASSETTE_PATH};

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
        assert::EQUALS,
        assert::CONTAINS,
        mock::CREATE,
        fixture::SETUP,
        suite::RUN,
        coverage::GET,
    ],
    extras: &[suite::SKIP, cassette::CASSETTE, clock::CLOCK],
};
