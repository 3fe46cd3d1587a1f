//! Whose dialect is spoken: compatible servers differ in a few words, which stand here as facts.

/// The facts about one house.
#[derive(Debug, PartialEq, Eq)]
pub struct Server {
    pub name: &'static str,
    /// Hosts, and those below them.
    hosts: &'static [&'static str],
    /// A local server is told by its usual port.
    port: &'static str,
    pub max_tokens: &'static str,
    pub seed: &'static str,
    pub top_k: bool,
    /// It reports usage at the end of a stream if it is asked to. Others refuse the question, and
    /// report without it.
    pub stream_options: bool,
    /// It wants members back that an answer brought (thinking, what was attached to calls). Others
    /// refuse members they do not know.
    pub takes_back: bool,
    /// It takes back arguments of calls as the model wrote them. Others parse them.
    pub any_arguments: bool,
    pub output: Structured,
    /// Cache marks are passed on to the model's own house.
    pub marks: bool,
    /// It heeds a `tool_choice` that demands a call; others drop it without a word.
    pub demands: bool,
}

/// What it can make an answer fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Structured {
    /// Any JSON, or a schema.
    All,
    /// Any JSON, but no schema.
    Json,
    /// A schema only.
    Schema,
}

/// What servers without rules of their own understand.
const COMPATIBLE: Server = Server {
    name: "compatible",
    hosts: &[],
    port: "",
    max_tokens: "max_tokens",
    seed: "seed",
    top_k: true,
    stream_options: true,
    takes_back: true,
    any_arguments: false,
    output: Structured::All,
    marks: false,
    demands: true,
};

const OPENAI: Server = Server {
    name: "openai",
    hosts: &["openai.com"],
    max_tokens: "max_completion_tokens",
    top_k: false,
    takes_back: false,
    any_arguments: true,
    ..COMPATIBLE
};

static SERVERS: [Server; 10] = [
    OPENAI,
    Server {
        name: "azure",
        hosts: &["openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com"],
        ..OPENAI
    },
    Server {
        name: "mistral",
        hosts: &["mistral.ai"],
        seed: "random_seed",
        top_k: false,
        stream_options: false,
        takes_back: false,
        ..COMPATIBLE
    },
    Server { name: "groq", hosts: &["groq.com"], top_k: false, takes_back: false, ..COMPATIBLE },
    Server { name: "openrouter", hosts: &["openrouter.ai"], marks: true, ..COMPATIBLE },
    Server { name: "xai", hosts: &["x.ai"], top_k: false, ..COMPATIBLE },
    Server {
        name: "gemini",
        hosts: &["generativelanguage.googleapis.com"],
        top_k: false,
        ..COMPATIBLE
    },
    Server {
        name: "deepseek",
        hosts: &["deepseek.com"],
        top_k: false,
        output: Structured::Json,
        ..COMPATIBLE
    },
    Server { name: "lmstudio", port: "1234", output: Structured::Schema, ..COMPATIBLE },
    Server { name: "ollama", port: "11434", demands: false, ..COMPATIBLE },
];

static OTHER: Server = COMPATIBLE;

impl Server {
    /// The house at this address; a type that names its house speaks its dialect everywhere.
    pub fn at(base_url: &str, kind: &str) -> &'static Server {
        let authority = authority_of(base_url).to_ascii_lowercase();
        let (host, port) = authority.rsplit_once(':').unwrap_or((&authority, ""));
        let below = |name: &&str| host == *name || host.ends_with(&format!(".{name}"));
        let by_address = SERVERS.iter().find(|server| {
            server.hosts.iter().any(below) || (!server.port.is_empty() && server.port == port)
        });
        // "openai" stands for any compatible server too: there the address decides alone.
        let by_kind = SERVERS.iter().find(|server| server.name == kind && kind != "openai");
        by_address.or(by_kind).unwrap_or(&OTHER)
    }
}

fn authority_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}
