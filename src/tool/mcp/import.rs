//! `import_mcp`: a server's tools become tools here, all of them or none.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::call::Imported;
use super::names::{self, Wanted};
use super::pin::Definition;
use super::remote::{Address, Remote, Visitor};
use super::spawn::Program;
use crate::error::{Code, Error, Result, quoted};
use crate::net::check_headers;
use crate::provider::options::HEADERS;
use crate::runtime::Runtime;
use crate::schema::Schema;
use crate::shape::{Field, Kind, Options, Shape};
use crate::step::{Machine, Operation, Outcome, Output, Step, Token, stopped};
use crate::tool::builtin::http::url::Url;
use crate::tool::{Approval, TIMEOUT_MS, Tool};
use crate::value::{Data, Kept, Slot, json as text};

const GLOBS: Kind = Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Text)]);

pub static IMPORT: Shape = Shape::new(
    "McpImport",
    &[
        Field::new(
            "command",
            Kind::List(&Kind::Name),
            "",
            "a server to run: the program and its arguments. It speaks on its standard input and output",
        ),
        Field::new("url", Kind::Name, "", "or a server to ask: `http://` or `https://`"),
        Field::new("name", Kind::Name, "", "stands before the names of the tools: `<name>_<tool>`"),
        Field::new(
            "include",
            GLOBS,
            "all",
            "tools that are wanted, by their names there: `*` is any text, `?` any character",
        ),
        Field::new("exclude", GLOBS, "none", "tools that are not"),
        Field::new("cwd", Kind::Name, "the host's", "directory that the program runs in"),
        Field::new(
            "env",
            Kind::MapOf(&Kind::Text),
            "",
            "environment of the program, beside HOME, PATH and their like: it inherits nothing else",
        ),
        Field::new("headers", HEADERS, "", "added to every request to `url`"),
        Field::new(
            "timeout_ms",
            Kind::Number(0.0, 1e12),
            "60000",
            "limit of the import, and of each call of its tools; 0 = none",
        ),
        Field::new(
            "requires_approval",
            Kind::OneOf(&[Kind::Bool, Kind::Function, GLOBS]),
            "false",
            "true, names (with `*`) of the tools that do, or `function(input, ctx)`: inside an agent a call waits for a human",
        ),
    ],
    &[],
);

/// What is to be imported, and as what.
pub struct Import {
    remote: Rc<Remote>,
    wanted: Wanted,
    options: Map<String, Value>,
    approved: Approvals,
    visitor: Option<Visitor>,
}

/// Which of the tools need approval.
#[derive(Debug)]
enum Approvals {
    None,
    All,
    Of(Vec<String>),
    Asks(Slot),
}

impl Approvals {
    fn given(options: &Options<'_>) -> Approvals {
        if let Some(function) = options.function("requires_approval") {
            return Approvals::Asks(function);
        }
        match options.get("requires_approval").map(|given| given.to_json()) {
            Some(Value::Bool(true)) => Approvals::All,
            Some(given @ (Value::String(_) | Value::Array(_))) => Approvals::Of(globs(&given)),
            _ => Approvals::None,
        }
    }

    fn of(&self, tool: &str) -> Option<Approval> {
        match self {
            Approvals::None => None,
            Approvals::All => Some(Approval::Always),
            Approvals::Of(globs) => names::matches(globs, tool).then_some(Approval::Always),
            Approvals::Asks(function) => Some(Approval::Asks(function.clone())),
        }
    }
}

impl Import {
    pub fn new(options: &Options<'_>) -> Result<Import> {
        let name = options.text("name");
        if let Some(name) = &name {
            check_name(name)?;
        }
        let remote = Rc::new(Remote::new(address(options)?, name));
        let wanted = Wanted {
            include: options.get("include").map(|given| globs(&given.to_json())),
            exclude: options.get("exclude").map_or(Vec::new(), |given| globs(&given.to_json())),
        };
        let approved = Approvals::given(options);
        let options = options.to_map();
        Ok(Import { remote, wanted, options, approved, visitor: None })
    }

    pub fn operation(self, runtime: &mut Runtime) -> Operation {
        runtime.remotes.add(&self.remote);
        let ms = self.timeout();
        let deadline = (ms > 0.0).then(|| runtime.clock.now().after_float_ms(ms));
        Operation { deadline, ..Operation::new("tool_import", self) }
    }

    fn timeout(&self) -> f64 {
        self.options.get("timeout_ms").and_then(Value::as_f64).unwrap_or(TIMEOUT_MS)
    }

    fn look(&mut self, runtime: &mut Runtime, me: Token) -> Result<Step> {
        let visitor = match self.visitor.take() {
            Some(visitor) => visitor,
            None => Visitor::new(runtime.tasks.waker(me)?),
        };
        visitor.rearm();
        self.remote.attend(runtime);
        let ready = self.remote.ready(runtime, &visitor);
        visitor.goes_on(matches!(ready, Ok(false)), &runtime.clock);
        self.visitor = Some(visitor);
        self.remote.attend(runtime);
        if !ready? {
            return Ok(Step::Wait(None));
        }
        let ids = self.register(runtime)?;
        Ok(Step::Done(Output::Data(Data::List(ids.into_iter().map(Data::from).collect()))))
    }

    /// All or none. What was imported under the same name before goes.
    fn register(&self, runtime: &mut Runtime) -> Result<Vec<String>> {
        let found: Vec<_> =
            self.remote.tools().into_iter().filter(|t| self.wanted.admits(t)).collect();
        let mut names = HashMap::new();
        for tool in &found {
            let local = names::local(self.remote.name.as_deref(), &tool.name);
            if let Some(other) = names.insert(local.clone(), &tool.name) {
                return Err(clash(
                    &local,
                    &format!("both {other:?} and {:?} would have it", tool.name),
                ));
            }
        }
        let before = self.before(runtime);
        for name in names.keys() {
            if runtime.tools.all_named(name).iter().any(|(number, _)| !before.contains(number)) {
                return Err(clash(name, "a tool has that name"));
            }
        }
        for number in before {
            runtime.tools.remove(number);
        }
        let tools: Vec<_> = found.iter().map(|tool| self.tool(runtime, tool)).collect();
        let numbers = tools.into_iter().map(|tool| {
            runtime.coverage.note(|count| count.tools.known(&tool.name));
            runtime.tools.insert(Rc::new(tool))
        });
        let numbers: Vec<_> = numbers.collect();
        *self.remote.registered.borrow_mut() = numbers.clone();
        Ok(numbers.into_iter().map(|number| runtime.tools.id(number)).collect())
    }

    /// The tools of an import of the same name; where there is no name, of the same server.
    fn before(&self, runtime: &Runtime) -> Vec<u64> {
        let same = |remote: &Remote| match (&remote.name, &self.remote.name) {
            (Some(theirs), Some(own)) => theirs == own,
            (None, None) => remote.address == self.remote.address,
            _ => false,
        };
        let all: Vec<_> = runtime.remotes.all().into_iter().filter(|r| same(r)).collect();
        let numbers = all.iter().flat_map(|remote| remote.registered.borrow().clone());
        numbers.filter(|number| runtime.tools.get(*number).is_some()).collect()
    }

    fn tool(&self, runtime: &Runtime, definition: &Definition) -> Tool {
        self.remote.pin(definition);
        let mut warnings = Vec::new();
        if definition.is_ambiguous {
            warnings.push("the server has several tools of this name: this is the first".into());
        }
        let mut options = Map::new();
        let parameters = parameters(&definition.input, &mut warnings);
        if let Some(schema) = definition.output.as_ref().and_then(|s| returns(s, &mut warnings)) {
            options.insert("returns".into(), schema);
        }
        options.insert("category".into(), "mcp".into());
        options.insert("timeout_ms".into(), self.timeout().into());
        options.insert("metadata".into(), self.metadata(definition, warnings));
        Tool {
            name: names::local(self.remote.name.as_deref(), &definition.name),
            description: definition.description.clone(),
            parameters: Some(Box::new(parameters)),
            compiled: Default::default(),
            execute: None,
            builtin: None,
            worker: Some(Rc::new(Imported {
                remote: self.remote.clone(),
                name: definition.name.clone(),
            })),
            cache: None,
            approval: self.approved.of(&definition.name),
            options: Kept::new(&options),
            registered_at: runtime.clock.unix(),
            stats: Default::default(),
        }
    }

    fn metadata(&self, tool: &Definition, warnings: Vec<String>) -> Value {
        let about = self.remote.about();
        let mut mcp = json!({ "server": self.remote.label(), "tool": tool.name });
        let mut put = |name: &str, value: &Value| {
            if !value.is_null() {
                mcp[name] = value.clone();
            }
        };
        put("title", &json!(tool.title));
        put("annotations", &tool.annotations);
        put("server_name", &about["serverInfo"]["name"]);
        put("server_version", &about["serverInfo"]["version"]);
        put("protocol", &about["protocolVersion"]);
        put("instructions", &about["instructions"]);
        if !warnings.is_empty() {
            put("warnings", &json!(warnings));
        }
        json!({ "mcp": mcp })
    }
}

fn clash(name: &str, why: &str) -> Error {
    let message = format!(
        "cannot import a tool as {name:?}: {why}; give options.name another word, or leave it out by options.exclude"
    );
    Error::new(Code::AlreadyExists, message)
}

fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.len() <= 40 && name.chars().all(fits) {
        return Ok(());
    }
    let got = quoted(name);
    Err(Error::invalid(format!(
        "options.name: expected 1 to 40 letters, digits, _ or -, got {got}"
    )))
}

fn globs(given: &Value) -> Vec<String> {
    let one = |value: &Value| value.as_str().map(str::to_owned);
    match given {
        Value::Array(items) => items.iter().filter_map(one).collect(),
        other => one(other).into_iter().collect(),
    }
}

fn address(options: &Options<'_>) -> Result<Address> {
    let map = options.to_map();
    let has = |name: &str| map.get(name).is_some_and(|value| !value.is_null());
    let only = |names: &[&str], what: &str| match names.iter().find(|name| has(name)) {
        Some(name) => Err(Error::invalid(format!("options.{name}: goes with {what} only"))),
        None => Ok(()),
    };
    match (map.get("command"), options.text("url")) {
        // An empty table may be either.
        (Some(words @ (Value::Array(_) | Value::Object(_))), None) => {
            only(&["headers"], "url")?;
            program(words.as_array().map_or(&[], Vec::as_slice), &map).map(Address::Run)
        }
        (None | Some(Value::Null), Some(url)) => {
            only(&["env", "cwd"], "command")?;
            let url = Url::parse(&url);
            let url = url.map_err(|why| Error::invalid(format!("options.url: the URL {why}")))?;
            Ok(Address::Web { url, headers: headers(map.get("headers"))? })
        }
        _ => Err(Error::invalid(
            "options: expected either command={program, …} or url=\"https://…\"",
        )),
    }
}

fn program(words: &[Value], map: &Map<String, Value>) -> Result<Program> {
    let words: Vec<_> = words.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if words.is_empty() {
        return Err(Error::invalid(
            "options.command: expected a program and its arguments, got none",
        ));
    }
    let env = map.get("env").and_then(Value::as_object).into_iter().flatten();
    let env = env.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    let env: std::collections::BTreeMap<_, _> = env.collect();
    let cwd = map.get("cwd").and_then(Value::as_str).map(str::to_owned);
    let texts = words.iter().map(String::as_str).chain(env.values().map(String::as_str));
    if texts.chain(env.keys().map(String::as_str)).chain(cwd.as_deref()).any(|t| t.contains('\0')) {
        return Err(Error::invalid(
            "options: a zero byte cannot be part of a command or its environment",
        ));
    }
    if let Some(name) = env.keys().find(|name| name.is_empty() || name.contains('=')) {
        return Err(Error::invalid(format!("options.env: {name:?} is no name of a variable")));
    }
    Ok(Program { words, cwd, env })
}

fn headers(given: Option<&Value>) -> Result<Vec<(String, String)>> {
    let given = given.and_then(Value::as_object).into_iter().flatten();
    let given = given.filter(|(_, value)| !value.is_null());
    let headers: Vec<_> = given.map(|(name, value)| (name.clone(), text::plain(value))).collect();
    check_headers(&headers)
        .map_err(|failure| Error::invalid(format!("options.headers: {failure}")))?;
    Ok(headers)
}

/// The schema of the input; where it is no schema, as much of it as is one. One tool that is
/// described badly must not keep the others away.
fn parameters(given: &Value, warnings: &mut Vec<String>) -> Value {
    let usable = |schema: &Value| Schema::compile(schema).map(drop);
    let Err(error) = usable(given).and_then(|()| must_be_object(given)) else {
        return given.clone();
    };
    warnings.push(format!("inputSchema is not checked as it stands: {}", error.message()));
    let mut whole = json!({ "type": "object" });
    let properties = given.get("properties").and_then(Value::as_object);
    let mut kept = Map::new();
    for (name, schema) in properties.into_iter().flatten() {
        let schema = match usable(schema) {
            Ok(()) if schema.is_object() => schema.clone(),
            _ => json!({}),
        };
        kept.insert(name.clone(), schema);
    }
    whole["properties"] = Value::Object(kept);
    if let Some(required) = given.get("required").filter(|list| list.is_array()) {
        whole["required"] = required.clone();
    }
    if usable(&whole).is_err() {
        whole = json!({ "type": "object", "properties": {} });
    }
    whole
}

fn must_be_object(schema: &Value) -> Result<()> {
    match schema.is_object() && schema.get("type").is_none_or(|kind| kind == "object") {
        true => Ok(()),
        false => Err(Error::new(Code::ValidationFailed, "it describes no object")),
    }
}

fn returns(given: &Value, warnings: &mut Vec<String>) -> Option<Value> {
    match Schema::compile(given) {
        Ok(_) => Some(given.clone()),
        Err(error) => {
            warnings.push(format!("outputSchema is not checked: {}", error.message()));
            None
        }
    }
}

impl Machine for Import {
    fn step(&mut self, runtime: &mut Runtime, me: Token, outcome: Outcome) -> Result<Step> {
        match outcome {
            Outcome::Stop(stop) => Err(stopped(&stop, "the import")),
            _ => self.look(runtime, me),
        }
    }

    fn abandon(&mut self, _: &mut Runtime, _: Token) {}
}
