//! What `linking.lua` asks of the core: events on their way to other processes, and from them.

use crate::error::{Error, Result};
use crate::event::{Builtin, Links};
use crate::runtime::Runtime;
use crate::shape::Kind;
use crate::value::{Data, Failure, Record};

use super::args::Args;
use super::bridge::{Param, Read};
use super::inner::Inner;
use super::instance::Instance;

const LINK: Param = Param::new("link", Kind::Number(0.0, 1e15));

pub static INNER: &[Inner] = &[
    Inner {
        name: "publish",
        params: &[Param::new("event", Kind::Map).read(Read::Bytes)],
        run: publish,
    },
    Inner { name: "next_link", params: &[], run: next_link },
    Inner { name: "link_lives", params: &[LINK], run: link_lives },
    Inner { name: "receive", params: &[LINK], run: receive },
    Inner { name: "link_trouble", params: &[LINK], run: trouble },
    Inner { name: "end_link", params: &[LINK], run: end_link },
    Inner { name: "end_links", params: &[], run: end_links },
];

fn number(args: &Args<'_>) -> u64 {
    args.number(0) as u64
}

/// After a fork the links are made anew first.
fn here(runtime: &mut Runtime) -> Result<()> {
    let Runtime { events, tasks, clock, .. } = runtime;
    events.links.settle_here(tasks, clock)
}

/// publish(event): to the streams whose links mean it
fn publish(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let runtime = &mut instance.runtime;
    here(runtime)?;
    let event = args.get(0).ok_or_else(|| Error::internal("there is no event"))?;
    let name = event.get("type").and_then(|name| name.as_str()).unwrap_or_default();
    if runtime.events.links.hear(name) {
        runtime.events.links.publish(name, event);
    }
    Ok(Data::Nil)
}

/// next_link() → the next link that nobody serves so far, and its token
fn next_link(instance: &mut Instance, _: &Args<'_>) -> Result<Data> {
    let link = instance.runtime.events.links.unserved();
    Ok(link.map_or(Data::Nil, |(number, token)| {
        Data::Many(vec![Data::from(number), Data::from(token)])
    }))
}

/// link_lives(link) → whether it has not been ended
fn link_lives(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    Ok(Data::Bool(instance.runtime.events.links.has(number(args))))
}

/// receive(link) → the next event, who published it and where it stands. The one before it has been
/// dispatched.
fn receive(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    here(&mut instance.runtime)?;
    let event = instance.runtime.events.links.receive(number(args));
    Ok(event.map_or(Data::Nil, |came| {
        Data::Many(vec![came.event.into(), came.origin.into(), came.position.into()])
    }))
}

/// link_trouble(link) → whether there is something to tell of it
fn trouble(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let events = &mut instance.runtime.events;
    let number = number(args);
    let Some(trouble) = events.links.get_mut(number).and_then(|link| link.trouble()) else {
        return Ok(Data::Bool(false));
    };
    let failure = Failure { error: trouble.error, function: "event.bridge" };
    let data = Record::new().set("lost", trouble.lost).set("bridge_id", Links::id(number));
    events.tell(Builtin::BatchError, data, Some(failure));
    Ok(Data::Bool(events.has_told()))
}

/// end_link(link): nobody can serve it
fn end_link(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    Ok(Data::Bool(instance.runtime.events.links.remove(number(args))))
}

/// end_links(): whoever they belong to ends
fn end_links(instance: &mut Instance, _: &Args<'_>) -> Result<Data> {
    let events = &mut instance.runtime.events;
    events.links.clear();
    events.changed();
    Ok(Data::Nil)
}
