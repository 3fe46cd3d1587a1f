//! Functions that only the chunks know, and that take more than numbers: nobody else calls them, so
//! they have no documentation for users and are not counted.

use crate::error::Result;
use crate::value::Data;

use super::args::Args;
use super::bridge::Param;
use super::instance::Instance;
use super::{
    attend, cassette, compose, coverage, events, following, hooks, linking, recording, report,
};
use super::{scope, services, serving};

pub struct Inner {
    pub name: &'static str,
    pub params: &'static [Param],
    pub run: fn(&mut Instance, &Args<'_>) -> Result<Data>,
}

/// All of them.
pub static ALL: &[&[Inner]] = &[
    attend::INNER,
    cassette::INNER,
    compose::INNER,
    coverage::INNER,
    events::INNER,
    following::INNER,
    hooks::INNER,
    linking::INNER,
    recording::INNER,
    report::INNER,
    scope::INNER,
    services::INNER,
    serving::INNER,
];
