//! What `serving.lua` asks of the core: servers that stand for those of vendors.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::mock::server::{ANSWER, Changes, Question, Reply, Response, Script, Server};
use crate::mock::{Dialect, REPLY, Said};
use crate::provider::{By, Whom};
use crate::shape::{Kind, Shape, unknown_key};
use crate::value::{Data, Ref};

use super::args::Args;
use super::bridge::{Param, Read};
use super::inner::Inner;
use super::instance::Instance;

const SERVER: Param = Param::new("server", Kind::Number(0.0, 1e15));
const QUESTION: Param = Param::new("question", Kind::Number(0.0, 1e15));
const RESPONSE: Param = Param::new("response", Kind::Open).read(Read::Bytes);
const PROVIDER: Param = Param::new("provider", Kind::Id("a provider"));
const PATH: Param = Param::new("path", Kind::Text);

/// What a response may be made of: neutral words, or bytes and faults.
static SHAPES: &[&Shape] = &[&REPLY, &ANSWER];

pub static INNER: &[Inner] = &[
    Inner {
        name: "start_server",
        params: &[
            Param::new("responses", Kind::List(&Kind::Open)).read(Read::Bytes),
            Param::new("repeat_last", Kind::Bool),
            Param::new("dialect", Kind::Enum(Dialect::NAMES)),
            PATH,
        ],
        run: start,
    },
    Inner { name: "dialect_of", params: &[PROVIDER], run: dialect_of },
    Inner { name: "stand_server", params: &[SERVER, PROVIDER], run: stand_in },
    Inner { name: "end_server", params: &[SERVER], run: end },
    Inner { name: "end_servers", params: &[], run: end_all },
    Inner { name: "forget_server", params: &[SERVER], run: forget },
    Inner { name: "rewind_server", params: &[SERVER], run: rewind },
    Inner { name: "server_calls", params: &[SERVER], run: calls },
    Inner { name: "server_call_count", params: &[SERVER], run: call_count },
    Inner { name: "server_last_call", params: &[SERVER], run: last_call },
    Inner { name: "next_question", params: &[SERVER], run: next_question },
    Inner { name: "answer_question", params: &[SERVER, QUESTION, RESPONSE, PATH], run: answer },
    Inner {
        name: "refuse_question",
        params: &[SERVER, QUESTION, Param::new("why", Kind::Text)],
        run: refuse,
    },
];

fn server<'i>(instance: &'i Instance, args: &Args<'_>) -> Result<&'i Server> {
    instance.runtime.servers.get(args.number(0) as u64)
}

/// start_server(responses, repeat_last, dialect, path) → its number, its address, and the token that
/// tells of questions. A response is `{asked=true}`, or it has `said`, `sent`, or both.
fn start(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let path = args.text(3).unwrap_or_default();
    let dialect = args.text(2).and_then(Dialect::of).unwrap_or(Dialect::OpenAi);
    let items = args.get(0).into_iter().flat_map(Ref::items).enumerate();
    let read = |(i, item): (usize, Ref<'_>)| response(item, &format!("{path}[{}]", i + 1));
    let script = Script::new(
        items.map(read).collect::<Result<_>>()?,
        args.get(1).and_then(Ref::as_bool).unwrap_or(true),
    );
    let runtime = &mut instance.runtime;
    let server = Server::start(script, dialect, &runtime.clock)?;
    let token = runtime.tasks.token();
    server.tell(runtime.tasks.waker(token)?);
    let address = server.base_url();
    let number = runtime.servers.insert(server);
    Ok(Data::Many(vec![Data::from(number), Data::from(address), Data::from(token)]))
}

fn response(value: Ref<'_>, path: &str) -> Result<Response> {
    for part in ["said", "sent"].into_iter().filter_map(|part| value.get(part)) {
        check_names(part, path)?;
    }
    let changes = value.get("sent").map(|sent| Changes::read(sent, path)).transpose()?;
    let said = value.get("said").map(|said| Said::read(said, path)).transpose()?;
    Ok(match (said, changes) {
        (Some(said), changes) => Response::Said(Arc::new(said), changes.unwrap_or_default()),
        (None, Some(changes)) => Response::Scripted(Arc::new(changes.alone())),
        (None, None) => Response::Asked,
    })
}

/// A slip in the name of one kind of words is not told as one of the other kind.
fn check_names(table: Ref<'_>, path: &str) -> Result<()> {
    for (name, _) in table.members() {
        let name = name.to_text();
        if SHAPES.iter().all(|shape| shape.find(&name).is_none()) {
            return Err(unknown_key(path, &name, SHAPES));
        }
    }
    Ok(())
}

/// dialect_of(provider) → the protocol that it speaks
fn dialect_of(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let whom = Whom::Known(args.id(0).into());
    whom.check(&instance.runtime.providers)?;
    let wire = instance.runtime.providers.ask(&whom)?.wire()?;
    Ok(Data::from(wire.dialect().name()))
}

/// stand_server(server, provider) → number for `stand_down`: requests to it go to the server
fn stand_in(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let address = server(instance, args)?.base_url();
    let whom = Whom::Known(args.id(1).into());
    instance.runtime.providers.stand_in(&whom, By::Server(address.into())).map(Data::from)
}

/// end_server(server) → whether it had not ended before
fn end(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    Ok(Data::Bool(instance.runtime.servers.end(args.number(0) as u64)))
}

/// end_servers(): whoever they belong to ends
fn end_all(instance: &mut Instance, _: &Args<'_>) -> Result<Data> {
    instance.runtime.servers.end_all();
    Ok(Data::Nil)
}

/// forget_server(server): nobody can ask for it any more
fn forget(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    instance.runtime.servers.remove(args.number(0) as u64);
    Ok(Data::Nil)
}

/// rewind_server(server): an empty journal, and the script from its start
fn rewind(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    server(instance, args)?.rewind();
    Ok(Data::Nil)
}

/// server_calls(server) → requests, in the order in which they came
fn calls(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let entries = server(instance, args)?.entries();
    Ok(Data::List(entries.iter().map(|entry| entry.data()).collect()))
}

fn call_count(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    Ok(Data::from(server(instance, args)?.count()))
}

fn last_call(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    Ok(server(instance, args)?.last_entry().map_or(Data::Nil, |entry| entry.data()))
}

/// next_question(server) → whether the server lives; a request that a function is to answer, by its
/// number, the place of the function, and the request itself
fn next_question(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let Ok(server) = server(instance, args) else { return Ok(Data::Bool(false)) };
    let Some(Question { id, place, entry }) = server.question() else {
        return Ok(Data::Bool(server.is_up()));
    };
    let place = Data::from(place + 1);
    Ok(Data::Many(vec![Data::Bool(true), Data::from(id), place, entry.data()]))
}

/// answer_question(server, question, response, path)
fn answer(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let path = args.text(3).unwrap_or_default();
    let said = args.get(2).ok_or_else(|| Error::internal("there is no response"))?;
    let response = response(said, path)?;
    server(instance, args)?.answer(args.number(1) as u64, response);
    Ok(Data::Nil)
}

/// refuse_question(server, question, why): the function has failed
fn refuse(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let reply = Reply::failure(400, args.text(2).unwrap_or_default());
    let response = Response::Scripted(Arc::new(reply));
    server(instance, args)?.answer(args.number(1) as u64, response);
    Ok(Data::Nil)
}
