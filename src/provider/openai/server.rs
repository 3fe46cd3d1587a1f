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
    /// There are models that see images.
    pub vision: bool,
    pub embeddings: Option<Embeds>,
    pub counts: Option<Counts>,
}

/// How it makes embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embeds {
    pub dimensions: &'static str,
    /// It knows `input_type`.
    pub input_type: bool,
    /// Texts at once.
    pub most: usize,
    /// It sends vectors as bytes in base64, which are a third of the digits.
    pub base64: bool,
}

/// Where it tells how many tokens a request holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    LlamaCpp,
    Vllm,
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
    vision: true,
    embeddings: Some(EMBEDS),
    counts: None,
};

const EMBEDS: Embeds =
    Embeds { dimensions: "dimensions", input_type: false, most: 128, base64: false };

const OPENAI: Server = Server {
    name: "openai",
    hosts: &["openai.com"],
    max_tokens: "max_completion_tokens",
    top_k: false,
    takes_back: false,
    any_arguments: true,
    embeddings: Some(Embeds { most: 2048, base64: true, ..EMBEDS }),
    ..COMPATIBLE
};

static SERVERS: [Server; 12] = [
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
        embeddings: Some(Embeds { dimensions: "output_dimension", ..EMBEDS }),
        ..COMPATIBLE
    },
    Server {
        name: "groq",
        hosts: &["groq.com"],
        top_k: false,
        takes_back: false,
        embeddings: None,
        ..COMPATIBLE
    },
    Server {
        name: "openrouter",
        hosts: &["openrouter.ai"],
        marks: true,
        embeddings: Some(Embeds { input_type: true, ..EMBEDS }),
        ..COMPATIBLE
    },
    Server { name: "xai", hosts: &["x.ai"], top_k: false, embeddings: None, ..COMPATIBLE },
    Server {
        name: "gemini",
        hosts: &["generativelanguage.googleapis.com"],
        top_k: false,
        embeddings: Some(Embeds { most: 100, ..EMBEDS }),
        ..COMPATIBLE
    },
    Server {
        name: "deepseek",
        hosts: &["deepseek.com"],
        top_k: false,
        output: Structured::Json,
        vision: false,
        embeddings: None,
        ..COMPATIBLE
    },
    Server { name: "lmstudio", port: "1234", output: Structured::Schema, ..COMPATIBLE },
    Server { name: "ollama", port: "11434", demands: false, ..COMPATIBLE },
    Server { name: "llamacpp", counts: Some(Counts::LlamaCpp), ..COMPATIBLE },
    Server { name: "vllm", counts: Some(Counts::Vllm), ..COMPATIBLE },
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
