//! Who is asked after whom, over random faults: whole questions, stepped without Lua or a network.

mod common;

use std::sync::{Arc, Mutex};

use common::Random;
use serde_json::{Map, Value, json};
use zigllms::chat::{Answer, Message, Request, Role};
use zigllms::error::{Code, Error};
use zigllms::net::{self, Call, Head, Sink, Transport};
use zigllms::provider::fallback::{Fallback, Others};
use zigllms::provider::{Ask, Exchange, Reach, Whom};
use zigllms::runtime::Runtime;
use zigllms::step::{Machine, Outcome, Output, Step};

const ANSWER: &str = r#"{"choices":[{"message":{"content":"ok"},"finish_reason":"stop"}]}"#;

/// Answers with one status after the other, and notes whom it was asked for.
#[derive(Default)]
struct Scripted {
    statuses: Mutex<Vec<u16>>,
    asked: Mutex<Vec<String>>,
}

struct Over;

impl Call for Over {
    fn cancel(&self) {}
    fn resume(&self) {}
}

impl Transport for Scripted {
    fn start(&self, request: net::Request, mut sink: Box<dyn Sink>) -> Box<dyn Call> {
        let host = request.url.split('/').nth(2).unwrap().to_owned();
        self.asked.lock().unwrap().push(host);
        let status = self.statuses.lock().unwrap().remove(0);
        sink.head(Head { status, headers: Vec::new() });
        sink.data(if status == 200 { ANSWER.as_bytes() } else { b"{}" });
        sink.end(Ok(()));
        Box::new(Over)
    }
}

/// Provider `n`, which makes at most `attempts` requests.
fn add(runtime: &mut Runtime, n: usize, attempts: usize) -> Whom {
    let id = ["openai", "groq", "xai", "mistral", "deepseek", "openrouter"][n];
    let options = json!({
        "base_url": format!("http://{id}/v1"), "api_key": "k", "model": id,
        "retry": { "max_attempts": attempts, "initial_delay_ms": 0 },
    });
    let Value::Object(options) = options else { unreachable!() };
    runtime.providers.configure(id, options, &Reach::default()).unwrap();
    Whom::Known(id.into())
}

fn asked(runtime: &mut Runtime, whom: Whom, others: &[Whom]) -> Result<Box<Answer>, Error> {
    let entry = |whom: &Whom| Fallback { whom: Some(whom.clone()), model: None };
    let ask = Ask {
        whom,
        request: Request { messages: vec![Message::new(Role::User, "hi")], ..Request::default() },
        options: Map::new(),
        reach: Reach::of_fallback(others.iter().map(entry).collect()),
        follow: false,
        iteration: None,
        strict: true,
    };
    let mut machine = Exchange::new(runtime, ask, None)?;
    let (me, mut outcome) = (runtime.tasks.token(), Outcome::Start);
    loop {
        match machine.step(runtime, me, outcome)? {
            Step::Wait(_) => outcome = Outcome::Ready,
            Step::Done(Output::Answer(answer)) => return Ok(answer),
            _ => panic!("nothing else is to be done"),
        }
    }
}

/// What the rules say: the hosts that are asked, and the status it ends with.
fn expected(script: &[u16], attempts: &[usize]) -> (Vec<usize>, u16) {
    let (mut asked, mut script) = (Vec::new(), script.iter());
    let mut last = 0;
    for (n, most) in attempts.iter().enumerate() {
        for _ in 0..*most {
            last = *script.next().unwrap();
            asked.push(n);
            match last {
                200 | 400 | 422 => return (asked, last),
                401 | 404 => break,
                _ => {}
            }
        }
    }
    (asked, last)
}

#[test]
fn providers_are_asked_in_their_order_each_as_often_as_it_may() {
    let mut random = Random::new(3);
    let (mut answered, mut failed) = (0, 0);
    for _ in 0..500 {
        let mut runtime = Runtime::default();
        let scripted = Arc::new(Scripted::default());
        runtime.transport = scripted.clone();
        let attempts: Vec<usize> = (0..1 + random.below(5)).map(|_| 1 + random.below(3)).collect();
        let all = attempts.iter().enumerate().map(|(n, most)| add(&mut runtime, n, *most));
        let all: Vec<Whom> = all.collect();
        let faults = [500, 503, 429, 408, 401, 404, 500, 503, 429, 408, 401, 400, 422, 200];
        let script: Vec<u16> = (0..20).map(|_| faults[random.below(faults.len())]).collect();
        *scripted.statuses.lock().unwrap() = script.clone();

        let result = asked(&mut runtime, all[0].clone(), &all[1..]);
        let (order, status) = expected(&script, &attempts);
        let names: Vec<String> = order.iter().map(|n| all[*n].label().to_owned()).collect();
        assert_eq!(*scripted.asked.lock().unwrap(), names, "{script:?} {attempts:?}");
        let last = names.last().unwrap();
        match result {
            Ok(answer) => {
                assert_eq!((status, answer.attempts as usize), (200, order.len()));
                assert_eq!((&answer.provider, answer.model()), (last, last.clone()));
                answered += 1;
            }
            Err(error) => {
                let fields = error.fields();
                assert_eq!((fields.status, fields.provider.as_ref()), (Some(status), Some(last)));
                assert_eq!(fields.attempts, Some(order.len() as u32));
                let told = fields.details.as_ref().and_then(|d| d["fallbacks"].as_array());
                let told: Vec<_> = told.into_iter().flatten().map(|one| &one["provider"]).collect();
                let mut before = names.clone();
                before.dedup();
                before.pop();
                assert_eq!(
                    told,
                    before
                        .iter()
                        .map(|id| json!(id))
                        .collect::<Vec<_>>()
                        .iter()
                        .collect::<Vec<_>>()
                );
                failed += 1;
            }
        }
    }
    assert!(answered > 50 && failed > 50, "{answered} {failed}");
}

#[test]
fn what_is_wrong_everywhere_is_asked_nowhere_else() {
    let next = || Fallback { whom: None, model: Some("m".into()) };
    for (code, name) in Code::ALL {
        let passed = Others::new(&[next()]).after(Error::new(*code, "x"), None).is_ok();
        let stays = [
            "validation_failed",
            "parse_failed",
            "conversion_error",
            "template_error",
            "cancelled",
            "aborted_by_hook",
            "budget_exceeded",
            "max_iterations",
            "version_mismatch",
            "content_filter",
            "bad_request",
            "tool_error",
            "hook_error",
            "callback_error",
            "already_exists",
            "invalid_argument",
            "assertion_failed",
            "internal",
        ];
        assert_eq!(passed, !stays.contains(name), "{name}");
    }
}
