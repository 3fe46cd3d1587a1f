//! Against a real model: the file that `ZIGLLMS_TEST_GGUF` names.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::chat::{Finish, Format, Part, Role, Settings, ToolChoice};
use crate::error::Phase;

fn model_file() -> Option<PathBuf> {
    let path = std::env::var_os("ZIGLLMS_TEST_GGUF").map(PathBuf::from);
    if path.is_none() {
        println!("SKIP: ZIGLLMS_TEST_GGUF names no model file");
    }
    path
}

enum Event {
    Delta(String),
    End(Box<Result<Reply>>),
}

struct Recorder {
    events: Sender<Event>,
    /// Deltas it still wants.
    wants: usize,
}

impl Listener for Recorder {
    fn delta(&mut self, delta: &Delta) -> bool {
        let _ = self.events.send(Event::Delta(delta.content.clone()));
        self.wants = self.wants.saturating_sub(1);
        self.wants > 0
    }

    fn end(self: Box<Self>, outcome: Result<Reply>) {
        let _ = self.events.send(Event::End(Box::new(outcome)));
    }
}

fn start(model: &Model, task: Task, wants: usize) -> (Generation, Receiver<Event>) {
    let (events, received) = mpsc::channel();
    (model.start(task, Box::new(Recorder { events, wants })), received)
}

fn finish(events: &Receiver<Event>) -> (Vec<String>, Result<Reply>) {
    let mut deltas = Vec::new();
    loop {
        match events.recv_timeout(Duration::from_secs(120)).expect("an end") {
            Event::Delta(text) => deltas.push(text),
            Event::End(outcome) => return (deltas, *outcome),
        }
    }
}

fn task(prompt: &str, settings: Settings) -> Task {
    let messages = vec![Message::new(Role::User, prompt)];
    let request = Request { messages, settings, ..Request::default() };
    Task { request, limits: Limits::default(), clock: Clock::default() }
}

fn greedy(max_tokens: u32) -> Settings {
    Settings { temperature: Some(0.0), max_tokens: Some(max_tokens), ..Settings::default() }
}

fn ask(model: &Model, task: Task) -> (Vec<String>, Result<Reply>) {
    finish(&start(model, task, usize::MAX).1)
}

fn reply(model: &Model, task: Task) -> Reply {
    ask(model, task).1.expect("a reply")
}

fn count(model: &Model, what: Countable) -> u64 {
    let (sender, counted) = mpsc::channel();
    model.count_tokens(what, Clock::default(), move |n| drop(sender.send(n)));
    counted.recv_timeout(Duration::from_secs(120)).expect("an answer").expect("a number")
}

/// Milliseconds from `Generation::cancel` to the end of the generation.
fn cancel(generation: &Generation, events: &Receiver<Event>) -> (f64, Error) {
    let clock = Clock::default();
    let asked = clock.now();
    generation.cancel();
    let outcome = finish(events).1;
    (clock.now().ms_since(asked), outcome.expect_err("a cancelled generation"))
}

#[test]
fn answers_arrive_piece_by_piece_and_count_exactly() {
    let Some(path) = model_file() else { return };
    let model = open(&path, Options::default()).unwrap();
    let (deltas, outcome) = ask(&model, task("Hello! Who are you?", greedy(60)));
    let reply = outcome.unwrap();
    assert!(deltas.len() > 3, "{deltas:?}");
    assert_eq!(deltas.concat(), reply.content);
    assert!(reply.content.starts_with("Hello!"), "{}", reply.content);
    assert_eq!(reply.finish, Some(Finish::Stop));
    assert_eq!(reply.model, Some(model.name()));

    let usage = reply.usage.unwrap();
    assert!(!usage.estimated);
    let messages = vec![Message::new(Role::User, "Hello! Who are you?")];
    let prompt = count(&model, Countable::Chat { messages, tools: Vec::new() });
    assert_eq!(usage.prompt_tokens, prompt);
    assert_eq!(usage.completion_tokens, count(&model, Countable::Text(reply.content)));
}

#[test]
fn temperature_zero_and_seeds_repeat_the_answer() {
    let Some(path) = model_file() else { return };
    let model = open(&path, Options::default()).unwrap();
    let prompt = "Write a short sentence about the sea and the people who live beside it.";
    let first = reply(&model, task(prompt, greedy(24)));
    let second = reply(&model, task(prompt, greedy(24)));
    assert_eq!(first.content, second.content);
    assert!(second.usage.unwrap().cached_tokens > Some(0), "the prompt was evaluated twice");

    let seeded = |seed| Settings { temperature: Some(1.0), seed: Some(seed), ..greedy(24) };
    let one = reply(&model, task(prompt, seeded(7)));
    assert_eq!(one.content, reply(&model, task(prompt, seeded(7))).content);
    assert_ne!(one.content, reply(&model, task(prompt, seeded(8))).content);
}

#[test]
fn a_schema_holds_the_model() {
    let Some(path) = model_file() else { return };
    let model = open(&path, Options::default()).unwrap();
    let schema = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 20},
            "age": {"type": "integer", "minimum": 1, "maximum": 120},
            "code": {"type": "string", "pattern": "^[A-Z]{2}-\\d{3}$"},
            "mood": {"enum": ["good", "bad"]},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 8}, "maxItems": 2},
        },
        "required": ["name", "age", "code", "mood", "tags"],
    });
    let validator = jsonschema::validator_for(&schema).unwrap();
    for seed in 0..4 {
        let format = Some(Format::Schema { name: "person".into(), schema: schema.clone() });
        let settings = Settings {
            temperature: Some(1.2),
            seed: Some(seed),
            max_tokens: Some(300),
            format,
            ..Settings::default()
        };
        let reply = reply(&model, task("Describe a person as JSON.", settings));
        assert_eq!(reply.finish, Some(Finish::Stop), "{}", reply.content);
        let document: Value = serde_json::from_str(&reply.content).unwrap();
        assert!(validator.is_valid(&document), "{document}");
    }
    let settings = Settings { format: Some(Format::Json), ..greedy(400) };
    let reply = reply(&model, task("Give me {\"a\": 1} as JSON, nothing else.", settings));
    if reply.finish == Some(Finish::Stop) {
        assert!(serde_json::from_str::<Value>(&reply.content).unwrap().is_object());
    }
}

#[test]
fn stop_strings_end_the_text_before_them() {
    let Some(path) = model_file() else { return };
    let model = open(&path, Options::default()).unwrap();
    let prompt = "Count from one to ten in words, separated by commas.";
    let whole = reply(&model, task(prompt, greedy(30))).content;
    let middle = whole.len() / 2;
    let middle = (middle..).find(|i| whole.is_char_boundary(*i)).unwrap();
    let stop: String = whole[middle..].chars().take(7).collect();
    let expected = &whole[..whole.find(&stop).unwrap()];
    let settings = Settings { stop: vec!["@@never@@".into(), stop], ..greedy(30) };
    let (deltas, outcome) = ask(&model, task(prompt, settings));
    let reply = outcome.unwrap();
    assert_eq!(reply.content, expected);
    assert_eq!(deltas.concat(), expected);
    assert_eq!(reply.finish, Some(Finish::Stop));
    assert_eq!(reply.native_finish.as_deref(), Some("stop_string"));
}

#[test]
fn max_tokens_and_the_context_cut_the_answer() {
    let Some(path) = model_file() else { return };
    let model = open(&path, Options::default()).unwrap();
    let cut = reply(&model, task("Tell me a long story.", greedy(5)));
    assert_eq!(cut.finish, Some(Finish::Length));
    assert_eq!(cut.usage.unwrap().completion_tokens, 5);

    let options = Options { context: Some(256), ..Options::default() };
    let small = open(&path, options).unwrap();
    let settings = Settings { temperature: Some(0.0), ..Settings::default() };
    let full = reply(&small, task("Tell me a very long story with many chapters.", settings));
    if full.finish == Some(Finish::Length) {
        let usage = full.usage.unwrap();
        assert_eq!(usage.total_tokens(), 256);
    }
    let error = ask(&small, task(&"word ".repeat(400), greedy(5))).1.unwrap_err();
    assert_eq!(error.code(), Code::ContextLength);
    let details = error.fields().details.clone().unwrap();
    assert_eq!(details["context_length"], json!(256));
    assert!(details["prompt_tokens"].as_u64() > Some(400), "{details}");
}

#[test]
fn cancel_takes_effect_within_50_ms_wherever_the_generation_is() {
    let Some(path) = model_file() else { return };
    let model = open(&path, Options::default()).unwrap();
    reply(&model, task("Hi", greedy(1)));

    let (generation, events) = start(&model, task("Tell me a long story.", greedy(500)), 1000);
    assert!(matches!(events.recv().unwrap(), Event::Delta(_)));
    let (waiting, queued) = start(&model, task("Another one.", greedy(5)), 1000);
    let (queue_ms, error) = cancel(&waiting, &queued);
    assert_eq!(error.code(), Code::Cancelled);
    let (token_ms, error) = cancel(&generation, &events);
    assert_eq!(error.code(), Code::Cancelled);

    let (generation, events) = start(&model, task(&"word ".repeat(2000), greedy(5)), 1000);
    assert!(events.recv_timeout(Duration::from_millis(150)).is_err(), "still at the prompt");
    let (prompt_ms, error) = cancel(&generation, &events);
    assert_eq!(error.code(), Code::Cancelled);
    println!("cancel: queued {queue_ms:.1} ms, token {token_ms:.1} ms, prompt {prompt_ms:.1} ms");
    assert!(token_ms.max(prompt_ms).max(queue_ms) < 50.0 * slowness());

    let after = reply(&model, task("Hello! Who are you?", greedy(20)));
    assert!(after.content.starts_with("Hello!"), "{}", after.content);
}

/// Unoptimised or on a busy machine the latency is no measure.
fn slowness() -> f64 {
    if cfg!(debug_assertions) || std::env::var_os("CI").is_some() { 10.0 } else { 2.0 }
}

#[test]
fn deadlines_and_listeners_end_a_generation() {
    let Some(path) = model_file() else { return };
    let model = open(&path, Options::default()).unwrap();
    reply(&model, task("Hi", greedy(1)));
    let mut late = task("Tell me a long story.", greedy(2000));
    late.limits.total = Some(late.clock.now().after_ms(200));
    let (_, outcome) = ask(&model, late);
    let error = outcome.unwrap_err();
    assert_eq!((error.code(), error.fields().phase), (Code::Timeout, Some(Phase::Total)));

    let mut impatient = task(&"word ".repeat(1000), greedy(5));
    impatient.limits.first_token = Some(Duration::from_millis(30));
    let error = ask(&model, impatient).1.unwrap_err();
    assert_eq!(error.fields().phase, Some(Phase::FirstToken));

    let (deltas, outcome) = finish(&start(&model, task("Tell me a story.", greedy(500)), 3).1);
    let reply = outcome.unwrap();
    assert_eq!((deltas.len(), reply.finish), (3, Some(Finish::Cancelled)));
    assert_eq!(deltas.concat(), reply.content);
}

#[test]
fn what_the_model_cannot_do_is_unsupported() {
    let Some(path) = model_file() else { return };
    let model = open(&path, Options::default()).unwrap();
    let unsupported = |change: &dyn Fn(&mut Request)| {
        let mut task = task("Hi", greedy(5));
        change(&mut task.request);
        let error = ask(&model, task).1.unwrap_err();
        assert_eq!(error.code(), Code::Unsupported, "{error}");
    };
    unsupported(&|r| r.settings.reasoning = Some("high".into()));
    unsupported(&|r| r.settings.tool_choice = Some(ToolChoice::Required));
    unsupported(&|r| drop(r.settings.extra.insert("mirostat".into(), json!(2))));
    unsupported(&|r| {
        let image = Part::Image { source: crate::chat::Source::bytes(vec![1], None), detail: None };
        r.messages[0].content = crate::chat::Content::Parts(vec![image]);
    });
    unsupported(&|r| {
        let schema = json!({"type": "string", "pattern": "(?<=a)b"});
        r.settings.format = Some(Format::Schema { name: "x".into(), schema });
    });
    let penalties = Settings {
        presence_penalty: Some(0.5),
        frequency_penalty: Some(0.5),
        top_k: Some(10),
        top_p: Some(0.9),
        ..Settings { max_tokens: Some(5), ..Settings::default() }
    };
    assert_eq!(reply(&model, task("Hi", penalties)).finish, Some(Finish::Length));
}

/// Its template has no tools: they are told in words.
#[test]
fn tools_become_a_part_of_the_prompt() {
    let Some(path) = model_file() else { return };
    let model = open(&path, Options::default()).unwrap();
    let parameters = json!({"type": "object", "properties": {"a": {"type": "number"}}});
    let add = ToolSpec { name: "add".into(), description: "sums".into(), parameters };
    let messages = vec![Message::new(Role::User, "1 + 2?")];
    let of = |tools| count(&model, Countable::Chat { messages: messages.clone(), tools });
    let without = of(Vec::new());
    assert!(of(vec![add.clone()]) > without + 80);
    let mut asked = task("1 + 2?", greedy(5));
    asked.request.tools = vec![add];
    let usage = reply(&model, asked).usage.unwrap();
    assert!(usage.prompt_tokens > without + 80, "{usage:?}");
}

#[test]
fn bad_files_are_told_apart() {
    let directory = std::env::temp_dir().join(format!("zigllms-local-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let code = |path: &Path| open(path, Options::default()).unwrap_err().code();
    assert_eq!(code(&directory.join("missing.gguf")), Code::IoError);
    assert_eq!(code(&file("text.gguf", b"no model at all")), Code::InvalidArgument);
    assert_eq!(code(&file("short.gguf", b"GG")), Code::InvalidArgument);
    assert_eq!(code(&directory), Code::IoError);

    let broken = file("broken.gguf", b"GGUF\x03\0\0\0 and nothing that makes sense after it");
    let model = open(&broken, Options::default()).unwrap();
    let error = ask(&model, task("Hi", greedy(1))).1.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("broken.gguf"), "{error}");
    assert_eq!(list_models(&broken).unwrap_err().code(), Code::InvalidArgument);
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_file_lists_its_model_and_opens_once() {
    let Some(path) = model_file() else { return };
    let listed = list_models(&path).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].id, name_of(&path));
    assert!(listed[0].context_length >= Some(2048), "{listed:?}");

    let one = open(&path, Options::default()).unwrap();
    let two = open(&path, Options::default()).unwrap();
    assert!(Arc::ptr_eq(&one, &two));
    let options = Options { context: Some(512), ..Options::default() };
    assert!(!Arc::ptr_eq(&one, &open(&path, options).unwrap()));
    let excessive = Options { context: Some(u32::MAX), ..Options::default() };
    let model = open(&path, excessive).unwrap();
    let error = ask(&model, task("Hi", greedy(1))).1.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
}

#[test]
fn speed() {
    let Some(path) = model_file() else { return };
    let clock = Clock::default();
    let options = Options { context: Some(2048), ..Options::default() };
    let model = open(&path, options).unwrap();
    let before = clock.now();
    count(&model, Countable::Text("x".into()));
    let load_ms = clock.now().ms_since(before);

    let before = clock.now();
    let prompt = reply(&model, task(&"word ".repeat(400), greedy(1)));
    let prompt_ms = clock.now().ms_since(before);
    let prompt_tokens = prompt.usage.unwrap().prompt_tokens as f64;

    let before = clock.now();
    let story = reply(&model, task("Tell me a long story about a dragon.", greedy(100)));
    let story_ms = clock.now().ms_since(before);
    let story_tokens = story.usage.unwrap().completion_tokens as f64;
    println!(
        "load {load_ms:.0} ms, prompt {:.0} tokens/s, generation {:.1} tokens/s",
        prompt_tokens / prompt_ms * 1e3,
        story_tokens / story_ms * 1e3,
    );
}

/// Runs one of the tests below in a process of its own, where they see `ZIGLLMS_TEST_CHILD`.
fn run_alone(test: &str, part: &str) -> std::process::Output {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("provider::local::tests::{test}"), "--nocapture", "--quiet"])
        .env("ZIGLLMS_TEST_CHILD", part)
        .output()
        .unwrap()
}

fn part_of_child() -> Option<String> {
    std::env::var("ZIGLLMS_TEST_CHILD").ok()
}

#[test]
fn the_process_may_end_at_any_moment_and_nothing_is_printed() {
    if model_file().is_none() {
        return;
    }
    for part in ["load", "prompt", "answer", "grammar", "idle"] {
        let output = run_alone("child_exits", part);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{part}: {:?} {errors}", output.status);
        assert_eq!(errors, "", "{part}");
    }
}

#[test]
fn child_exits() {
    let (Some(part), Some(path)) = (part_of_child(), model_file()) else { return };
    let model = open(&path, Options::default()).unwrap();
    let long = task(&"word ".repeat(2000), greedy(100));
    match part.as_str() {
        "load" => drop(start(&model, long, 100)),
        "prompt" => {
            reply(&model, task("Hi", greedy(1)));
            let (_, events) = start(&model, long, 100);
            assert!(events.recv_timeout(Duration::from_millis(200)).is_err());
        }
        "idle" => drop(reply(&model, task("Hi", greedy(3)))),
        kind => {
            let mut story = task("Tell me a long story.", greedy(1000));
            if kind == "grammar" {
                story.request.settings.format = Some(Format::Json);
            }
            let (_, events) = start(&model, story, 1000);
            assert!(matches!(events.recv().unwrap(), Event::Delta(_)));
            std::process::exit(7);
        }
    }
    std::process::exit(7);
}

#[test]
fn a_fork_starts_anew_and_leaves_its_parent_alone() {
    if model_file().is_none() {
        return;
    }
    let output = run_alone("child_forks", "fork");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?} {errors}", output.status);
}

#[test]
fn child_forks() {
    let (Some(_), Some(path)) = (part_of_child(), model_file()) else { return };
    let model = open(&path, Options::default()).unwrap();
    let question = || task("Hello! Who are you?", greedy(12));
    let expected = reply(&model, question()).content;
    for _ in 0..3 {
        let (generation, events) = start(&model, task("Tell me a story.", greedy(500)), 1000);
        assert!(matches!(events.recv().unwrap(), Event::Delta(_)));
        // SAFETY: the child only uses what is made for it, and ends without unwinding.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let same = reply(&model, question()).content == expected;
            std::process::exit(if same { 0 } else { 1 });
        }
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "child: {status}");
        generation.cancel();
        assert_eq!(finish(&events).1.unwrap_err().code(), Code::Cancelled);
    }
    assert_eq!(reply(&model, question()).content, expected);
}
