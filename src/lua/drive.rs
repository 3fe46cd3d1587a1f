//! Steps machines for `drive.lua` and says in plain data what it is to do next.

use crate::clock::Moment;
use crate::error::{Code, Error, Result};
use crate::guard::guarded;
use crate::runtime::Runtime;
use crate::step::{Act, Call, Face, Machine, Operation, Outcome, Output, Start, Step, Token};
use crate::tasks::Next;
use crate::telling::Teller;
use crate::value::Data;

use super::bridge::{ENTRIES, Entry};
use super::instance::{Frame, Instance};
use super::metrics::Open;

/// What a native call ends with.
#[derive(Default)]
pub enum Action {
    #[default]
    Nothing,
    Return(Data),
    /// What a public function that waits returns.
    Done(Option<&'static Entry>, Data),
    Raise(Error),
    /// For `drive.lua`: a verb and its operands.
    Verb(Verb, Data),
    /// The operation failed; `drive.lua` raises the error where the caller waits.
    Fail(Error),
}

/// First result of `step`; `drive.lua` has a function for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Done = 1,
    Fail = 2,
    Wait = 3,
    Call = 4,
    Run = 5,
    Fork = 6,
    Emit = 7,
    Listen = 8,
    /// Events are to be told first; then the machine goes on with what was kept meanwhile.
    Tell = 9,
    Begin = 10,
    Scope = 11,
}

/// Registers a call that waits; answers token, face, sink, deadline, name, subject.
pub fn started(
    instance: &mut Instance,
    entry: &'static Entry,
    start: Start,
    parent: Token,
    frame: &Frame,
) -> Action {
    let since = instance.begins();
    let runtime = &mut instance.runtime;
    let face = match start.face {
        Face::Plain => Data::Nil,
        Face::Handle => Data::Bool(true),
        Face::Blocking => Data::Bool(false),
        Face::Stream => Data::from("stream"),
        Face::Yield => Data::from("yield"),
        Face::Detached => Data::from("detached"),
    };
    let labels = labels(&start.operation);
    let token = runtime.tasks.start(start.operation, parent, false);
    let open = Open { number: entry.number, origin: frame.origin.clone(), since };
    instance.metrics.open.insert(token, open);
    let mut values = vec![Data::from(token), face, Data::from(start.sink)];
    values.extend(labels);
    Action::Return(Data::Many(values))
}

/// Deadline in clock milliseconds, name and subject of an operation.
fn labels(operation: &Operation) -> [Data; 3] {
    [
        Data::from(operation.deadline.map(ms)),
        Data::from(operation.name),
        Data::from(operation.subject.clone()),
    ]
}

/// A moment as `drive.lua` counts: milliseconds of the clock.
pub fn ms(moment: Moment) -> f64 {
    moment.ms()
}

/// Steps a machine once. What it has to tell comes before what it asks for.
pub fn step(instance: &mut Instance, token: Token, outcome: Outcome) -> Action {
    let action = stepped(instance, token, outcome);
    told_first(instance, token, action)
}

fn told_first(instance: &mut Instance, token: Token, action: Action) -> Action {
    if !instance.runtime.has_to_tell() {
        return action;
    }
    instance.kept.insert(token, action);
    Action::Verb(Verb::Tell, Data::Many(Vec::new()))
}

/// What was to be done before events were told.
pub fn go_on(instance: &mut Instance, token: Token) -> Action {
    let gone = || Action::Fail(Error::internal("nothing was kept while events were told"));
    instance.kept.remove(&token).unwrap_or_else(gone)
}

fn stepped(instance: &mut Instance, token: Token, outcome: Outcome) -> Action {
    let runtime = &mut instance.runtime;
    match advance(runtime, token, outcome) {
        Ok(Step::Done(output)) => ended(instance, token, Ok(output)),
        Ok(Step::Wait(until)) => wait(token, until),
        Ok(Step::Call(call)) => {
            if let Some(running) = runtime.tasks.get_mut(token) {
                (running.wants_text, running.listens) = (call.text, call.listens);
                running.wants_data = call.keeps || call.listens;
                running.copies = call.copies;
            }
            Action::Verb(Verb::Call, calling(call))
        }
        Ok(Step::Run(operation)) => Action::Verb(Verb::Run, child(runtime, token, operation)),
        Ok(Step::Fork(operations, limit)) => fork(runtime, token, operations, limit),
        Ok(Step::Begin(operation)) => {
            let operands = child(runtime, token, operation);
            let begun = runtime.tasks.newest_child(token);
            if let Some(begun) = begun.and_then(|begun| runtime.tasks.get_mut(begun)) {
                begun.beside = true;
            }
            Action::Verb(Verb::Begin, operands)
        }
        Ok(Step::Scope(act)) => {
            if let Some(running) = runtime.tasks.get_mut(token) {
                (running.wants_text, running.listens) = (false, false);
                (running.wants_data, running.copies) = (act.keeps, act.copies);
            }
            Action::Verb(Verb::Scope, acting(act))
        }
        Ok(Step::Emit) => Action::Verb(Verb::Emit, Data::Many(Vec::new())),
        Ok(Step::Listen { more, until }) => {
            let until = Data::from(until.map(ms));
            Action::Verb(Verb::Listen, Data::Many(vec![Data::Bool(more), until]))
        }
        Err(error) => ended(instance, token, Err(error)),
    }
}

/// Takes the machine out while it is stepped, so that nothing can step it twice.
fn advance(runtime: &mut Runtime, token: Token, outcome: Outcome) -> Result<Step> {
    let gone = || Error::internal("stepped an operation that has ended");
    let running = runtime.tasks.get_mut(token).ok_or_else(gone)?;
    let mut machine = running.machine.take().ok_or_else(gone)?;
    if running.begun.is_none() {
        running.begun = Some(runtime.clock.now());
        let teller = Teller::from(&*running);
        runtime.tell_begun(&teller, machine.as_ref());
    }
    let result = match guarded(|| Ok(machine.step(runtime, token, outcome))) {
        Ok(result) => result,
        Err(defect) => {
            let_go(runtime, token, machine.as_mut());
            Err(defect)
        }
    };
    put_back(runtime, token, machine, &result);
    result
}

/// A defect has ended it in the middle of a step: others may wait for what it holds.
fn let_go(runtime: &mut Runtime, token: Token, machine: &mut dyn Machine) {
    let _ = guarded(|| {
        machine.abandon(runtime, token);
        Ok(())
    });
}

/// A machine that has ended is dropped, unless hooks may still have a say.
fn put_back(runtime: &mut Runtime, token: Token, machine: Box<dyn Machine>, result: &Result<Step>) {
    let Some(running) = runtime.tasks.get_mut(token) else { return };
    let teller = Teller::from(&*running);
    let ended = match result {
        Ok(Step::Done(output)) => Ok(output),
        Err(error) => Err(error),
        Ok(_) => return running.machine = Some(machine),
    };
    if running.attended {
        running.machine = Some(machine);
    } else {
        let mut machine = machine;
        machine.ended(runtime, ended);
        runtime.tell_ended(&teller, machine.as_ref(), ended);
    }
}

fn wait(token: Token, until: Option<Moment>) -> Action {
    Action::Verb(Verb::Wait, Data::Many(vec![Data::from(token), Data::from(until.map(ms))]))
}

/// Operands: limit, info, function, argument, whether it is listened to.
fn calling(call: Call) -> Data {
    Data::Many(vec![
        Data::from(call.limit.map(ms)),
        call.info.map_or(Data::Nil, Data::Record),
        Data::Slot(call.function),
        call.argument,
        Data::Bool(call.listens),
    ])
}

/// Operands: the name of the act, and its own.
fn acting(act: Act) -> Data {
    let mut values = Vec::with_capacity(1 + act.operands.len());
    values.push(Data::from(act.name));
    values.extend(act.operands);
    Data::Many(values)
}

/// Operands: token, deadline, name, subject.
fn child(runtime: &mut Runtime, parent: Token, operation: Operation) -> Data {
    let mut values = vec![Data::Nil];
    values.extend(labels(&operation));
    let token = runtime.tasks.start(operation, parent, true);
    if let Some(running) = runtime.tasks.get_mut(parent) {
        running.children.push(token);
    }
    values[0] = Data::from(token);
    Data::Many(values)
}

/// Operands: limit, and a list of what `Run` has as operands.
fn fork(runtime: &mut Runtime, parent: Token, operations: Vec<Operation>, limit: usize) -> Action {
    let children = operations.into_iter().map(|operation| child(runtime, parent, operation));
    let children: Vec<Data> = children.collect();
    Action::Verb(Verb::Fork, Data::Many(vec![Data::from(limit), Data::List(children)]))
}

/// How a machine ended, unless hooks may still have a say.
fn ended(instance: &mut Instance, token: Token, output: Result<Output>) -> Action {
    let attended = instance.runtime.tasks.get_mut(token).filter(|running| running.attended);
    if let Some(running) = attended {
        let verb = if output.is_err() { Verb::Fail } else { Verb::Done };
        running.output = Some(output);
        return Action::Verb(verb, Data::Many(Vec::new()));
    }
    over(instance, token, output)
}

/// The hooks of an operation have had their say.
pub fn release(instance: &mut Instance, token: Token) -> Action {
    let action = released(instance, token);
    told_first(instance, token, action)
}

fn released(instance: &mut Instance, token: Token) -> Action {
    let runtime = &mut instance.runtime;
    let gone = || Error::internal("an operation has gone with its hooks still there");
    let Some(running) = runtime.tasks.get_mut(token) else { return Action::Fail(gone()) };
    running.attended = false;
    let output = running.output.take().unwrap_or_else(|| Err(gone()));
    if let Some(mut machine) = running.machine.take() {
        let teller = Teller::from(&*running);
        // Whoever counts what begins and ends counts what its hooks have ended as well.
        let never_stepped = teller.begun.is_none();
        let skipped = never_stepped && is_skipped(&teller, &output);
        if never_stepped && !skipped {
            runtime.tell_begun(&teller, machine.as_ref());
        }
        machine.ended(runtime, output.as_ref());
        if !skipped {
            runtime.tell_ended(&teller, machine.as_ref(), output.as_ref());
        }
        if never_stepped {
            machine.abandon(runtime, token);
        }
    }
    over(instance, token, output)
}

/// A step of a workflow that a hook says no to is skipped, which has an event of its own.
fn is_skipped(teller: &Teller, output: &Result<Output>) -> bool {
    let vetoed = output.as_ref().is_err_and(|error| error.code() == Code::AbortedByHook);
    teller.name == "workflow_step" && vetoed
}

/// An inner machine's output waits for its parent; an outer one's goes to Lua.
fn over(instance: &mut Instance, token: Token, output: Result<Output>) -> Action {
    let cancelled = output.as_ref().is_err_and(|error| error.code() == Code::Cancelled);
    if instance.runtime.tasks.get_mut(token).is_some_and(|running| running.inner) {
        let failed = output.is_err();
        instance.runtime.tasks.end_inner(token, output);
        return Action::Verb(if failed { Verb::Fail } else { Verb::Done }, Data::Many(Vec::new()));
    }
    instance.runtime.tasks.remove(token);
    instance.metrics.cancelled += u64::from(cancelled);
    let entry = close(instance, token, output.as_ref().err().map(Error::code));
    match output {
        Ok(output) => Action::Done(entry, output.into_data()),
        Err(error) => Action::Fail(error),
    }
}

/// Counts the end of a call; answers which function was called.
fn close(instance: &mut Instance, token: Token, failed: Option<Code>) -> Option<&'static Entry> {
    let open = instance.metrics.open.get(&token)?;
    let (number, since) = (open.number, open.since);
    match failed {
        Some(code) => instance.metrics.failed(number, code),
        None => drop(instance.metrics.open.remove(&token)),
    }
    instance.took(number, since);
    ENTRIES.get(number)
}

/// What the children of a machine ended with, in order.
pub fn outputs(runtime: &mut Runtime, token: Token) -> Vec<Result<Output>> {
    let children = runtime.tasks.take_children(token);
    children.into_iter().map(|child| output(runtime, child)).collect()
}

fn output(runtime: &mut Runtime, child: Token) -> Result<Output> {
    let output = runtime.tasks.get_mut(child).and_then(|running| running.output.take());
    runtime.abandon(child);
    output.unwrap_or_else(|| Err(Error::new(Code::Cancelled, "not finished")))
}

/// A function for `drive.lua` that takes numbers and gives plain data.
pub struct Native {
    pub name: &'static str,
    pub run: fn(&mut Instance, Numbers) -> Result<Data>,
}

/// Numeric arguments; absent ones are NaN.
pub type Numbers = [f64; 3];

pub static NATIVES: &[Native] = &[
    Native { name: "now", run: |i, _| Ok(Data::Num(ms(i.runtime.clock.now()))) },
    Native { name: "token", run: |i, _| Ok(Data::from(i.runtime.tasks.token())) },
    Native { name: "post", run: |i, n| i.runtime.tasks.post(n[0] as u64).map(|()| Data::Nil) },
    Native { name: "count_call", run: count_call },
    Native { name: "concurrency", run: |i, _| Ok(Data::from(i.runtime.config.max_concurrency())) },
    Native { name: "arm", run: arm },
    Native {
        name: "disarm",
        run: |i, n| {
            i.runtime.tasks.disarm(n[0] as u64);
            Ok(Data::Nil)
        },
    },
    Native { name: "ready", run: ready },
    Native { name: "attention", run: attention },
    Native { name: "abandon", run: abandon },
    Native { name: "pipe_open", run: |i, _| Ok(Data::from(i.runtime.tasks.open_pipe())) },
    Native { name: "pipe_put", run: pipe_put },
    Native { name: "pipe_bytes", run: pipe_bytes },
    Native { name: "pipe_take", run: pipe_take },
    Native { name: "pipe_close", run: pipe_close },
    Native { name: "chunk", run: chunk },
    Native { name: "fd", run: fd },
    Native { name: "process", run: |_, _| Ok(Data::from(u64::from(std::process::id()))) },
    Native { name: "next_timer", run: next_timer },
    Native { name: "open_door", run: |i, _| i.runtime.tasks.open_door().map(Data::from) },
    Native { name: "let_in", run: let_in },
    Native { name: "begin_virtual", run: begin_virtual },
    Native { name: "end_virtual", run: end_virtual },
    Native { name: "hold_time", run: hold_time },
    Native { name: "leap", run: leap },
    Native { name: "move_on", run: move_on },
    Native { name: "lull", run: |i, n| i.runtime.tasks.lull(n[0] as u64).map(|()| Data::Nil) },
];

/// count_call(number): a call that is refused before it is looked at
fn count_call(instance: &mut Instance, numbers: Numbers) -> Result<Data> {
    instance.metrics.called(numbers[0] as usize);
    Ok(Data::Nil)
}

/// arm(token, at_ms)
fn arm(instance: &mut Instance, numbers: Numbers) -> Result<Data> {
    let at = Moment::of_ms(numbers[1]);
    let runtime = &mut instance.runtime;
    runtime.tasks.arm(&runtime.clock, at, numbers[0] as u64);
    Ok(Data::Nil)
}

/// ready(timeout_ms?) → token, or token and why it is to stop; nil when nothing came in time or a
/// signal did. Without a number it waits as long as it takes.
fn ready(instance: &mut Instance, numbers: Numbers) -> Result<Data> {
    let runtime = &mut instance.runtime;
    let limit = (!numbers[0].is_nan()).then(|| runtime.clock.now().after_float_ms(numbers[0]));
    Ok(match runtime.tasks.next(&runtime.clock, limit)? {
        Next::Token(token) => Data::from(token),
        Next::Stop(token, reason) => Data::Many(vec![Data::from(token), Data::from(reason)]),
        Next::Nothing | Next::Interrupted => Data::Nil,
    })
}

/// attention() → whether there are events to tell
fn attention(instance: &mut Instance, _: Numbers) -> Result<Data> {
    instance.runtime.tell_failures();
    instance.runtime.attend_remotes();
    Ok(Data::Bool(instance.runtime.has_to_tell()))
}

/// abandon(token, refused?) → whether there are events to tell. Ends an operation whose caller is
/// gone, or must not wait here.
fn abandon(instance: &mut Instance, numbers: Numbers) -> Result<Data> {
    let (token, refused) = (numbers[0] as u64, numbers[1] == 1.0);
    if let Some(open) = instance.metrics.open.remove(&token) {
        let code = if refused { Code::Unsupported } else { Code::Cancelled };
        instance.metrics.failed(open.number, code);
        instance.metrics.cancelled += u64::from(!refused);
        instance.took(open.number, open.since);
    }
    forget_kept(instance, token);
    instance.runtime.abandon(token);
    Ok(Data::Bool(instance.runtime.has_to_tell()))
}

/// What an operation and those inside it would have gone on with.
fn forget_kept(instance: &mut Instance, token: Token) {
    if instance.kept.is_empty() {
        return;
    }
    instance.kept.remove(&token);
    let running = instance.runtime.tasks.get_mut(token);
    let inner = running.map(|running| running.children.clone()).unwrap_or_default();
    inner.into_iter().for_each(|child| forget_kept(instance, child));
}

/// pipe_put(pipe, token) → bytes waiting in the pipe
fn pipe_put(instance: &mut Instance, numbers: Numbers) -> Result<Data> {
    let chunk = take_chunk(&mut instance.runtime, numbers[1] as u64);
    let pipe = instance.runtime.tasks.pipe(numbers[0] as u64);
    let bytes = chunk.zip(pipe).map_or(0, |(chunk, pipe)| pipe.put(chunk));
    Ok(Data::from(bytes))
}

fn pipe_bytes(instance: &mut Instance, numbers: Numbers) -> Result<Data> {
    let pipe = instance.runtime.tasks.pipe(numbers[0] as u64);
    Ok(Data::from(pipe.map_or(0, |pipe| pipe.bytes())))
}

fn pipe_take(instance: &mut Instance, numbers: Numbers) -> Result<Data> {
    let pipe = instance.runtime.tasks.pipe(numbers[0] as u64);
    Ok(pipe.and_then(crate::chunk::Pipe::take).unwrap_or(Data::Nil))
}

fn pipe_close(instance: &mut Instance, numbers: Numbers) -> Result<Data> {
    instance.runtime.tasks.close_pipe(numbers[0] as u64);
    Ok(Data::Nil)
}

/// chunk(token, index) → the chunk that a stream callback gets
fn chunk(instance: &mut Instance, numbers: Numbers) -> Result<Data> {
    let chunk = take_chunk(&mut instance.runtime, numbers[0] as u64);
    Ok(chunk.map_or(Data::Nil, |chunk| chunk.to_data(numbers[1] as u64)))
}

fn take_chunk(runtime: &mut Runtime, token: Token) -> Option<crate::chunk::Chunk> {
    runtime.tasks.get_mut(token)?.machine.as_mut()?.chunk()
}

fn fd(instance: &mut Instance, _: Numbers) -> Result<Data> {
    let runtime = &mut instance.runtime;
    Ok(Data::from(i64::from(runtime.tasks.watch(&runtime.clock)?)))
}

/// next_timer() → milliseconds until a timer may be due; nil if there is none
fn next_timer(instance: &mut Instance, _: Numbers) -> Result<Data> {
    let runtime = &instance.runtime;
    let left = runtime.tasks.left(&runtime.clock);
    Ok(Data::from(left.map(|left| left.as_secs_f64() * 1e3)))
}

/// let_in(): takes the connection to what `open_door` gave
fn let_in(instance: &mut Instance, _: Numbers) -> Result<Data> {
    instance.runtime.tasks.let_in().map(|()| Data::Nil)
}

/// begin_virtual() → whether time was real
fn begin_virtual(instance: &mut Instance, _: Numbers) -> Result<Data> {
    let runtime = &mut instance.runtime;
    runtime.tasks.begin_virtual(&runtime.clock).map(Data::Bool)
}

fn end_virtual(instance: &mut Instance, _: Numbers) -> Result<Data> {
    let runtime = &mut instance.runtime;
    runtime.tasks.end_virtual(&runtime.clock).map(|()| Data::Nil)
}

/// hold_time(1 or 0)
fn hold_time(instance: &mut Instance, numbers: Numbers) -> Result<Data> {
    let runtime = &mut instance.runtime;
    runtime.tasks.hold(&runtime.clock, numbers[0] == 1.0);
    Ok(Data::Nil)
}

/// leap() → whether virtual time has leapt
fn leap(instance: &mut Instance, _: Numbers) -> Result<Data> {
    let runtime = &mut instance.runtime;
    Ok(Data::Bool(runtime.tasks.leap(&runtime.clock)))
}

/// move_on(limit_ms)
fn move_on(instance: &mut Instance, numbers: Numbers) -> Result<Data> {
    let runtime = &mut instance.runtime;
    runtime.tasks.move_on(&runtime.clock, Moment::of_ms(numbers[0]));
    Ok(Data::Nil)
}
