//! What `services.lua` asks of the core: who is stood in for, and the bytes of what a script says.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::mock::{Answer, Asked, Dialect, Said, answer, echo};
use crate::provider::{By, Whom};
use crate::shape::Kind;
use crate::value::{Data, Record, Ref};

use super::args::Args;
use super::bridge::{Param, Read};
use super::inner::Inner;
use super::instance::Instance;

const REPLY: Param = Param::new("reply", Kind::Value).optional().read(Read::Whole);
const PATH: Param = Param::new("path", Kind::Text);

pub static INNER: &[Inner] = &[
    Inner {
        name: "stand_in",
        params: &[
            Param::new("provider", Kind::Id("a provider")),
            Param::new("fn", Kind::Function).read(Read::Reference),
        ],
        run: stand_in,
    },
    Inner {
        name: "stand_down",
        params: &[Param::new("number", Kind::Number(0.0, 1e15))],
        run: stand_down,
    },
    Inner {
        name: "put_echo",
        params: &[Param::new("fn", Kind::Function).read(Read::Reference)],
        run: put_echo,
    },
    Inner {
        name: "echo",
        params: &[Param::new("request", Kind::Value).read(Read::Whole)],
        run: echoed,
    },
    Inner { name: "reply_flaw", params: &[REPLY, PATH], run: reply_flaw },
    Inner {
        name: "render",
        params: &[
            REPLY,
            PATH,
            Param::new("dialect", Kind::Enum(Dialect::NAMES)),
            Param::new("address", Kind::Text),
            Param::new("body", Kind::Text),
            Param::new("model", Kind::Text),
            Param::new("number", Kind::Number(0.0, 1e15)),
        ],
        run: render,
    },
];

/// stand_in(provider, fn) → number: requests to it are answered by the function
fn stand_in(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let whom = Whom::Known(args.id(0).into());
    let function = args.slot(1).ok_or_else(super::attend::gone)?;
    instance.runtime.providers.stand_in(&whom, By::Function(function)).map(Data::from)
}

/// stand_down(number): the servers answer again, or what stood there before
fn stand_down(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    Ok(Data::Bool(instance.runtime.providers.stand_down(args.number(0) as u64)))
}

/// put_echo(fn): it answers for providers of the type "mock"
fn put_echo(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    instance.runtime.providers.echo(args.slot(0).ok_or_else(super::attend::gone)?);
    Ok(Data::Nil)
}

/// echo(request) → the reply of a provider of the type "mock"
fn echoed(_: &mut Instance, args: &Args<'_>) -> Result<Data> {
    Ok(echo(&args.get(0).map_or(Value::Null, Ref::to_json)).into())
}

/// reply_flaw(reply, path) → message and code of what is wrong with a response, nil if nothing
fn reply_flaw(_: &mut Instance, args: &Args<'_>) -> Result<Data> {
    Ok(said(args).err().map_or(Data::Nil, |error| {
        Data::Many(vec![error.message().into(), error.code().name().into()])
    }))
}

/// The first two arguments; no reply says nothing.
fn said(args: &Args<'_>) -> Result<Said> {
    let path = args.text(1).unwrap_or_default();
    args.require_data(0).map_err(|error| placed(&error, path))?;
    args.get(0).map_or_else(|| Ok(Said::default()), |reply| Said::read(reply, path))
}

/// The error at the place where the response stands.
fn placed(error: &Error, path: &str) -> Error {
    let message = error.message();
    let rest = message.strip_prefix(REPLY.name).unwrap_or(message);
    Error::new(error.code(), format!("{path}{rest}"))
}

/// render(reply, path, dialect, address, body, model, number) → `{status, headers, chunks, delay_ms,
/// chunk_delay_ms, code?, message?}`
fn render(instance: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let said = said(args)?;
    let body = serde_json::from_str(args.text(4).unwrap_or_default()).unwrap_or(Value::Null);
    let asked = Asked {
        path: args.text(3).unwrap_or_default(),
        body: &body,
        number: args.number(6) as u64,
        created: instance.runtime.clock.unix() as u64,
        model: args.text(5).unwrap_or_default(),
    };
    let dialect = args.text(2).and_then(Dialect::of).unwrap_or(Dialect::OpenAi);
    let record = written(answer(dialect, &asked, &said));
    Ok(record.set("delay_ms", said.delay_ms).set("chunk_delay_ms", said.chunk_delay_ms).into())
}

fn written(answer: Answer) -> Record {
    let mut headers = Record::new();
    for (name, value) in answer.headers {
        headers.put(name, value);
    }
    let text = |chunk: Vec<u8>| Data::Text(String::from_utf8_lossy(&chunk).into_owned());
    let breaks = answer.breaks.as_ref();
    Record::new()
        .set("status", u32::from(answer.status))
        .set("headers", headers)
        .set("chunks", Data::List(answer.chunks.into_iter().map(text).collect()))
        .set("code", breaks.map(|error| error.code().name()))
        .set("message", breaks.map(Error::message))
}
