//! What `cassette.lua` asks of the core: the beginning of a cassette, and its end.

use crate::cassette::{self, Mode};
use crate::error::Result;
use crate::shape::Kind;
use crate::value::{Data, Record};

use super::args::Args;
use super::bridge::Param;
use super::bridges::{CASSETTE, CASSETTE_PATH};
use super::inner::Inner;
use super::instance::Instance;

pub static INNER: &[Inner] = &[
    Inner {
        name: "begin_cassette",
        params: &[CASSETTE_PATH, Param::new("options", Kind::Table(&CASSETTE)).optional()],
        run: begin,
    },
    Inner {
        name: "end_cassette",
        params: &[Param::new("number", Kind::Number(0.0, 1e15)), Param::new("well", Kind::Bool)],
        run: end,
    },
];

/// begin_cassette(path, options?) → its number, and what the function learns of it
fn begin(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let (path, options) = (args.text(0).unwrap_or_default(), args.options(1, &CASSETTE));
    let (mode, tools) = (Mode::of(options.word("mode")), options.bool("tools").unwrap_or(true));
    let begun = cassette::begin(&mut instance.runtime, path, mode, tools)?;
    let info = Record::new()
        .set("mode", if begun.replays { "replay" } else { "record" })
        .set("path", path)
        .set("recorded_at", begun.recorded_at);
    Ok(Data::Many(vec![Data::from(begun.number), info.into()]))
}

/// end_cassette(number, well)
fn end(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let well = args.get(1).and_then(|well| well.as_bool()).unwrap_or(false);
    cassette::end(&mut instance.runtime, args.number(0) as u64, well)?;
    Ok(Data::Nil)
}
