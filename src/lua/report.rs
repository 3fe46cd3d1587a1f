//! What `testing/` asks of the core: reports, and regular expressions.

use regex::Regex;

use crate::error::{Error, Result};
use crate::report::Suite;
use crate::shape::Kind;
use crate::value::Data;

use super::args::Args;
use super::bridge::{Param, Read};
use super::inner::Inner;
use super::instance::Instance;

pub static INNER: &[Inner] = &[
    Inner {
        name: "write_report",
        params: &[
            Param::new("results", Kind::Any).read(Read::Bytes),
            Param::new("reporter", Kind::Text),
        ],
        run: write,
    },
    Inner {
        name: "matches_regex",
        params: &[
            Param::new("text", Kind::Any).read(Read::Bytes),
            Param::new("pattern", Kind::Text),
        ],
        run: matches,
    },
];

/// write_report(results of a suite, reporter) → its text
fn write(_: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let suite = args.get(0).map(Suite::read).unwrap_or_default();
    suite.write(args.text(1).unwrap_or_default()).map(Data::from)
}

/// matches_regex(text, pattern) → whether it is found
fn matches(_: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let regex = Regex::new(args.text(1).unwrap_or_default())
        .map_err(|error| Error::invalid(error.to_string()))?;
    let bytes = args.get(0).and_then(|text| text.as_bytes()).unwrap_or_default();
    Ok(Data::Bool(regex.is_match(&String::from_utf8_lossy(bytes))))
}
