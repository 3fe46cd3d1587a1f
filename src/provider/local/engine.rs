//! The thread of a model: loads it, then answers one request after the other.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use once_cell::sync::OnceCell;
use serde_json::{Value, json};

use super::sample::Sampler;
use super::template::Template;
use super::text::Text;
use super::vectors::Texts;
use super::{Countable, Options, Work, damaged, gate, name_of};
use crate::chat::{
    Delta, Finish, Message, Reply, Request, ToolCall, ToolCallDelta, ToolChoice, ToolSpec, Usage,
};
use crate::clock::{Clock, Moment};
use crate::error::{Code, Error, Phase, Result};

/// What the default context is capped at.
const CONTEXT: u32 = 4096;
const TOOL_CALL: &str = "<tool_call>";

pub enum Job {
    Generate(Box<Work>),
    Count { what: Countable, clock: Clock, done: Box<dyn FnOnce(Result<u64>) + Send> },
    Embed(Texts),
}

impl Job {
    pub fn fail(self, error: Error) {
        match self {
            Job::Generate(work) => work.listener.end(Err(error)),
            Job::Count { done, .. } => done(Err(error)),
            Job::Embed(texts) => (texts.done)(Err(error)),
        }
    }
}

/// llama.cpp itself, initialised once and silent.
pub fn backend() -> Result<&'static LlamaBackend> {
    static BACKEND: OnceCell<LlamaBackend> = OnceCell::new();
    BACKEND.get_or_try_init(|| {
        let _open = gate::enter();
        let failed = |e| Error::internal(format!("llama.cpp does not start: {e}"));
        let mut backend = LlamaBackend::init().map_err(failed)?;
        backend.void_logs();
        gate::guard_exit();
        Ok(backend)
    })
}

/// The thread's main function; returns when the last handle of the model is gone.
pub fn run(path: &Path, options: Options, jobs: Receiver<Job>) {
    let mut queue = Queue { jobs, waiting: VecDeque::new() };
    while let Some(job) = queue.next() {
        let model = match load(path, &job) {
            Ok(model) => model,
            Err(error) => {
                job.fail(error);
                continue;
            }
        };
        let mut loaded = Loaded::new(&model, name_of(path), options);
        // After a panic the model's state is unknown, so the next job loads it anew.
        let _ = catch_unwind(AssertUnwindSafe(|| loaded.serve(job, &mut queue)));
        let _open = gate::enter();
        drop(loaded);
        drop(model);
    }
}

/// Jobs in order of arrival.
struct Queue {
    jobs: Receiver<Job>,
    waiting: VecDeque<Job>,
}

impl Queue {
    fn next(&mut self) -> Option<Job> {
        self.waiting.pop_front().or_else(|| self.jobs.recv().ok())
    }

    /// Ends the waiting jobs whose time is up: they need not wait for their turn to be told.
    fn sweep(&mut self) {
        self.waiting.extend(self.jobs.try_iter());
        let over = |job: &Job| matches!(job, Job::Generate(work) if work.check().is_err());
        if !self.waiting.iter().any(over) {
            return;
        }
        for job in std::mem::take(&mut self.waiting) {
            match job {
                Job::Generate(work) => match work.check() {
                    Ok(()) => self.waiting.push_back(Job::Generate(work)),
                    Err(error) => work.listener.end(Err(error)),
                },
                other => self.waiting.push_back(other),
            }
        }
    }
}

impl Work {
    /// Whether to go on, before the first token has come.
    fn check(&self) -> Result<()> {
        self.check_since(self.started, self.task.limits.first_token, Phase::FirstToken)
    }

    fn check_since(
        &self,
        since: Moment,
        limit: Option<std::time::Duration>,
        phase: Phase,
    ) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) || gate::ending() {
            return Err(Error::new(Code::Cancelled, "the generation was cancelled"));
        }
        let now = self.task.clock.now();
        if self.task.limits.total.is_some_and(|end| now >= end) {
            let took = now.ms_since(self.started).round();
            return Err(Error::timeout(
                Phase::Total,
                format!("no complete answer after {took} ms"),
            ));
        }
        if limit.is_some_and(|limit| now >= since.after(limit)) {
            let waited = now.ms_since(since).round();
            return Err(Error::timeout(phase, format!("no token for {waited} ms")));
        }
        Ok(())
    }
}

fn load(path: &Path, job: &Job) -> Result<LlamaModel> {
    let backend = backend()?;
    let cancelled = match job {
        Job::Generate(work) => {
            work.check()?;
            work.cancelled.clone()
        }
        Job::Count { .. } => Arc::new(AtomicBool::new(false)),
        Job::Embed(texts) => texts.cancelled.clone(),
    };
    let go_on = move |_| !cancelled.load(Ordering::Relaxed) && !gate::ending();
    let params = LlamaModelParams::default().with_progress_callback(go_on);
    let _open = gate::enter();
    let model = LlamaModel::load_from_file(backend, path, &params);
    gate::guard_exit();
    model.map_err(|_| match job {
        Job::Generate(work) => work.check().err().unwrap_or_else(|| damaged(path)),
        Job::Count { .. } | Job::Embed(_) => damaged(path),
    })
}

/// A loaded model with its one context.
struct Loaded<'m> {
    model: &'m LlamaModel,
    name: String,
    options: Options,
    template: Option<Template>,
    /// Prompt tokens are evaluated this many at a time, and cancel is looked at in between. The
    /// number is fixed, since other portions would give other rounding errors, and thereby the
    /// same request other answers.
    portion: usize,
    context: Option<LlamaContext<'m>>,
    /// The prompt whose evaluation the context holds, from its beginning on.
    evaluated: Vec<LlamaToken>,
}

impl<'m> Loaded<'m> {
    fn new(model: &'m LlamaModel, name: String, options: Options) -> Loaded<'m> {
        Loaded {
            template: template(model),
            portion: portion(options.threads),
            model,
            name,
            options,
            context: None,
            evaluated: Vec::new(),
        }
    }

    fn serve(&mut self, first: Job, queue: &mut Queue) {
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Generate(mut work) => {
                    let outcome = self.generate(&mut work, queue);
                    work.listener.end(outcome);
                }
                Job::Count { what, clock, done } => done(self.count(&what, &clock)),
                Job::Embed(texts) => {
                    let made = texts.make(self.model, &self.name, self.options.threads);
                    (texts.done)(made);
                }
            }
            next = queue.next();
        }
    }

    fn count(&self, what: &Countable, clock: &Clock) -> Result<u64> {
        let tokens = match what {
            Countable::Text(text) => {
                let _open = gate::enter();
                self.model.vocab().tokenize(text.as_bytes(), false, false)
            }
            Countable::Chat { messages, tools } => self.prompt(messages, tools, clock)?,
        };
        Ok(tokens.len() as u64)
    }

    fn generate(&mut self, work: &mut Work, queue: &mut Queue) -> Result<Reply> {
        work.check()?;
        let request = work.task.request.clone();
        let tools = tools(&request)?;
        let prompt = self.prompt(&request.messages, tools, &work.task.clock)?;
        let size = self.make_context()?;
        self.check_size(prompt.len(), size)?;
        let mut sampler = {
            let _open = gate::enter();
            Sampler::new(self.model, &request.settings, size)?
        };
        let cached = self.evaluate(&prompt, work, queue)?;
        let room = size as usize - prompt.len();
        let most = request.settings.max_tokens.map_or(room, |n| room.min(n as usize));
        let answer = Answer::new(self, &request, tools, &work.task.clock);
        let mut reply = self.answer(answer, work, queue, &mut sampler, prompt.len(), most)?;
        if let Some(usage) = &mut reply.usage {
            usage.prompt_tokens = prompt.len() as u64;
            usage.cached_tokens = Some(cached as u64);
        }
        Ok(reply)
    }

    /// The tokens of a conversation, rendered by the model's own template.
    fn prompt(
        &self,
        messages: &[Message],
        tools: &[ToolSpec],
        clock: &Clock,
    ) -> Result<Vec<LlamaToken>> {
        let template = self.template.as_ref().ok_or_else(|| {
            let name = &self.name;
            Error::unsupported(format!("{name} has no chat template: it is not made for chat"))
        })?;
        let text = template.render(messages, tools, clock)?;
        let _open = gate::enter();
        let bos_missing = !template.bos.is_empty() && !text.starts_with(&template.bos);
        Ok(self.model.vocab().tokenize(text.as_bytes(), bos_missing, true))
    }

    /// The size of the context, which is made at its first use.
    fn make_context(&mut self) -> Result<u32> {
        if let Some(context) = &self.context {
            return Ok(context.n_ctx());
        }
        let trained = self.model.n_ctx_train();
        let size = self.options.context.unwrap_or(trained.min(CONTEXT));
        if size > trained {
            let problem = format!("{} has a context of {trained} tokens, not {size}", self.name);
            return Err(Error::invalid(problem));
        }
        let threads = i32::try_from(self.options.threads).unwrap_or(1);
        let portion = self.portion as u32;
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(size))
            .with_n_batch(portion)
            .with_n_ubatch(portion)
            .with_n_threads(threads)
            .with_n_threads_batch(threads)
            .with_no_perf(true);
        let _open = gate::enter();
        let context = self.model.new_context(backend()?, params).map_err(|_| {
            Error::internal(format!("no memory for a context of {size} tokens of {}", self.name))
        })?;
        gate::guard_exit();
        let size = context.n_ctx();
        self.context = Some(context);
        Ok(size)
    }

    fn check_size(&self, prompt: usize, size: u32) -> Result<()> {
        if prompt == 0 {
            return Err(Error::invalid("there is nothing to answer"));
        }
        if prompt < size as usize {
            return Ok(());
        }
        let name = &self.name;
        let message = format!("the prompt has {prompt} tokens, the context of {name} holds {size}");
        let details = json!({"prompt_tokens": prompt, "context_length": size});
        Err(Error::new(Code::ContextLength, message).with(|f| f.details = Some(details)))
    }

    /// Evaluates a prompt, except for what it has in common with the last one, and returns how
    /// many tokens that was.
    fn evaluate(&mut self, prompt: &[LlamaToken], work: &Work, queue: &mut Queue) -> Result<usize> {
        let reused = self.rewind(prompt)?;
        let mut batch = LlamaBatch::new(self.portion, 1);
        let mut at = reused;
        while at < prompt.len() {
            work.check()?;
            queue.sweep();
            let end = prompt.len().min(at + self.portion);
            batch.clear();
            for (place, token) in prompt[at..end].iter().enumerate() {
                add(&mut batch, *token, at + place, at + place + 1 == prompt.len())?;
            }
            self.decode(&mut batch)?;
            self.evaluated.extend_from_slice(&prompt[at..end]);
            at = end;
        }
        gate::guard_exit();
        Ok(reused)
    }

    /// Takes everything out of the context that does not belong to `prompt`. What stays ends with
    /// a whole portion, so that the rest is evaluated in the same portions as ever.
    fn rewind(&mut self, prompt: &[LlamaToken]) -> Result<usize> {
        let last = prompt.len() - 1;
        let both = self.evaluated.iter().zip(&prompt[..last]);
        let mut common = both.take_while(|(old, new)| old == new).count();
        common -= common % self.portion;
        let context = self.context.as_mut().ok_or_else(no_context)?;
        let _open = gate::enter();
        let kept = common > 0
            && context.clear_kv_cache_seq(Some(0), u32::try_from(common).ok(), None) == Ok(true);
        if !kept {
            context.clear_kv_cache();
            common = 0;
        }
        self.evaluated.truncate(common);
        Ok(common)
    }

    fn answer(
        &mut self,
        mut answer: Answer<'m>,
        work: &mut Work,
        queue: &mut Queue,
        sampler: &mut Sampler,
        mut place: usize,
        most: usize,
    ) -> Result<Reply> {
        let mut batch = LlamaBatch::new(1, 1);
        // The logits of a prompt's last token are the last output of the last batch.
        let mut last_token_at = i32::try_from((place - 1) % self.portion).unwrap_or(0);
        let mut since = work.started;
        let mut limit = (work.task.limits.first_token, Phase::FirstToken);
        loop {
            if answer.tokens == most as u64 {
                return Ok(answer.end(work, Finish::Length, "max_tokens"));
            }
            let Some(token) = self.pick(sampler, last_token_at)? else {
                return Ok(answer.end(work, Finish::Stop, "end_of_text"));
            };
            if let Some((finish, native)) = answer.take(token, work) {
                return Ok(answer.end(work, finish, native));
            }
            work.check_since(since, limit.0, limit.1)?;
            since = work.task.clock.now();
            limit = (work.task.limits.idle, Phase::Idle);
            queue.sweep();
            if answer.tokens == most as u64 {
                continue;
            }
            batch.clear();
            add(&mut batch, token, place, true)?;
            self.decode(&mut batch)?;
            place += 1;
            last_token_at = 0;
        }
    }

    /// The next token; `None` at the end of the text.
    fn pick(&self, sampler: &mut Sampler, at: i32) -> Result<Option<LlamaToken>> {
        let context = self.context.as_ref().ok_or_else(no_context)?;
        let _open = gate::enter();
        let token = sampler.pick(context, at)?;
        if self.model.vocab().is_eog(token) {
            return Ok(None);
        }
        sampler.accept(token)?;
        Ok(Some(token))
    }

    fn decode(&mut self, batch: &mut LlamaBatch<'_>) -> Result<()> {
        let context = self.context.as_mut().ok_or_else(no_context)?;
        let _open = gate::enter();
        context.decode(batch).map_err(|e| Error::internal(format!("llama.cpp: {e}")))
    }
}

fn no_context() -> Error {
    Error::internal("the model has no context")
}

fn add(batch: &mut LlamaBatch<'_>, token: LlamaToken, place: usize, output: bool) -> Result<()> {
    let place = i32::try_from(place).map_err(|_| Error::internal("too many tokens"))?;
    let full = |e| Error::internal(format!("llama.cpp: {e}"));
    batch.add(token, place, &[0], output).map_err(full)
}

/// Few tokens, so that cancel takes effect soon. On one thread larger portions are hardly faster,
/// since arithmetic is the limit and not memory.
fn portion(threads: u32) -> usize {
    2 * threads.min(32) as usize
}

fn template(model: &LlamaModel) -> Option<Template> {
    let vocab = model.vocab();
    let text = |token: LlamaToken| {
        let known = (0..vocab.n_tokens()).contains(&token.0);
        let text = known.then(|| vocab.text(token)).flatten();
        text.map(|t| t.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let source = model.chat_template(None).ok()?.to_string().ok()?;
    Some(Template { source, bos: text(vocab.bos()), eos: text(vocab.eos()) })
}

/// The tools a request is about. What this engine cannot do with them is an error.
fn tools(request: &Request) -> Result<&[ToolSpec]> {
    let settings = &request.settings;
    if settings.reasoning.as_deref().is_some_and(|effort| effort != "none") {
        return Err(Error::unsupported("an embedded model has no setting `reasoning`"));
    }
    match settings.tool_choice {
        Some(ToolChoice::None) => return Ok(&[]),
        Some(ToolChoice::Required | ToolChoice::Named(_)) => {
            return Err(Error::unsupported("an embedded model cannot be made to call a tool"));
        }
        Some(ToolChoice::Auto) | None => {}
    }
    if settings.parallel_tool_calls == Some(false) && !request.tools.is_empty() {
        return Err(Error::unsupported("an embedded model has no setting `parallel_tool_calls`"));
    }
    Ok(&request.tools)
}

/// An answer on its way.
struct Answer<'m> {
    model: &'m LlamaModel,
    text: Text,
    reply: Reply,
    tokens: u64,
    /// Tool calls are looked for; their tags may be special tokens, otherwise without text.
    tools: bool,
}

impl<'m> Answer<'m> {
    fn new(
        loaded: &Loaded<'m>,
        request: &Request,
        tools: &[ToolSpec],
        clock: &Clock,
    ) -> Answer<'m> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let tagged = loaded.template.as_ref().is_some_and(Template::tags_tool_calls);
        let tools = !tools.is_empty() && tagged;
        let mut stops = request.settings.stop.clone();
        if tools {
            stops.push(TOOL_CALL.to_owned());
        }
        let reply = Reply {
            id: Some(format!("local-{}", NEXT.fetch_add(1, Ordering::Relaxed))),
            model: Some(loaded.name.clone()),
            created: Some(clock.unix()),
            ..Reply::default()
        };
        Answer { model: loaded.model, text: Text::new(&stops), reply, tokens: 0, tools }
    }

    /// Adds a token. If the answer ends with it: how, and in which words.
    fn take(&mut self, token: LlamaToken, work: &mut Work) -> Option<(Finish, &'static str)> {
        self.tokens += 1;
        let bytes = {
            let _open = gate::enter();
            self.model.vocab().token_to_piece(token, self.tools, None)
        };
        let piece = self.text.push(&bytes);
        if !self.deliver(piece, work) {
            return Some((Finish::Cancelled, "stopped"));
        }
        let stopped = self.text.stopped().is_some() && !self.calls_tools();
        stopped.then_some((Finish::Stop, "stop_string"))
    }

    fn calls_tools(&self) -> bool {
        self.tools && self.text.stopped() == Some(TOOL_CALL)
    }

    /// `false` if nobody wants more.
    fn deliver(&mut self, content: String, work: &mut Work) -> bool {
        if content.is_empty() {
            return true;
        }
        self.reply.content.push_str(&content);
        work.listener.delta(&Delta { content, ..Delta::default() })
    }

    fn end(mut self, work: &mut Work, finish: Finish, native: &str) -> Reply {
        let last = self.text.finish();
        let mut finish = finish;
        if finish != Finish::Cancelled {
            self.deliver(last, work);
            if self.calls_tools() {
                finish = self.end_with_tools(work, finish);
            }
        }
        self.reply.finish = Some(finish);
        self.reply.native_finish = Some(native.to_owned());
        self.reply.usage = Some(Usage { completion_tokens: self.tokens, ..Usage::default() });
        self.reply
    }

    /// Text that only looked like tool calls is delivered after all.
    fn end_with_tools(&mut self, work: &mut Work, finish: Finish) -> Finish {
        let Some(calls) = parse_tool_calls(self.text.rest()) else {
            let text = format!("{TOOL_CALL}{}", self.text.rest());
            self.deliver(text, work);
            return finish;
        };
        let delta = |(index, call): (usize, &ToolCall)| ToolCallDelta {
            index,
            id: Some(call.id.clone()),
            name: Some(call.name.clone()),
            arguments: call.arguments_json.clone(),
        };
        let tool_calls = calls.iter().enumerate().map(delta).collect();
        work.listener.delta(&Delta { tool_calls, ..Delta::default() });
        self.reply.tool_calls = calls;
        Finish::ToolCalls
    }
}

/// `{"name": …, "arguments": …}</tool_call><tool_call>{…}</tool_call>`: what follows the first tag.
fn parse_tool_calls(text: &str) -> Option<Vec<ToolCall>> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let parse = |part: &str| {
        let document = part.split("</tool_call>").next().unwrap_or_default();
        let call: Value = serde_json::from_str(document.trim()).ok()?;
        Some(ToolCall {
            id: format!("call_{}", NEXT.fetch_add(1, Ordering::Relaxed)),
            name: call.get("name")?.as_str()?.to_owned(),
            arguments_json: call.get("arguments").map_or_else(|| "{}".to_owned(), Value::to_string),
        })
    };
    text.split(TOOL_CALL).map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_calls_are_read_as_models_write_them() {
        let text = "\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>\n<tool_call>\n\
            {\"name\": \"now\"}\n</tool_call>";
        let calls = parse_tool_calls(text).unwrap();
        let seen: Vec<_> = calls.iter().map(|c| (&*c.name, &*c.arguments_json)).collect();
        assert_eq!(seen, [("add", r#"{"a":1}"#), ("now", "{}")]);
        assert!(parse_tool_calls("{\"name\": ").is_none());
    }
}
