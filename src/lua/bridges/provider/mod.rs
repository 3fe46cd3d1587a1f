//! `zigllms.provider`: language models, whoever serves them.

mod ask;
mod chat;
mod manage;

use crate::error::Code;
use crate::lua::bridge::{Bridge, Constants, Effect, Function, Param, Run};
use crate::provider::options::CONFIG;
use crate::shape::Kind;

use ask::{COUNT, EMBED, MODELS};
use chat::CHAT;

const PROVIDER: Param = Param::new("provider_id", Kind::Id("a provider"));
const MESSAGES: Param =
    Param::new("messages", Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Any), Kind::Map]));
const ANSWERS: &[Code] = &[
    Code::NotFound,
    Code::Auth,
    Code::RateLimited,
    Code::Overloaded,
    Code::ContextLength,
    Code::ContentFilter,
    Code::BadRequest,
    Code::ServerError,
    Code::Network,
    Code::Timeout,
    Code::BadResponse,
    Code::ValidationFailed,
    Code::Unsupported,
    Code::Cancelled,
    Code::CallbackError,
];

pub static BRIDGE: Bridge = Bridge {
    name: "provider",
    doc: "Language models: OpenAI (chat and Responses), Anthropic, Cohere, Ollama, every server that speaks OpenAI's protocol, \
          and GGUF files that the module runs itself.",
    constants: &[
        Constants {
            name: "Type",
            members: &[
                ("OPENAI", "openai"),
                ("ANTHROPIC", "anthropic"),
                ("COHERE", "cohere"),
                ("LOCAL", "local"),
            ],
        },
        Constants {
            name: "Status",
            members: &[
                ("ACTIVE", "active"),
                ("INACTIVE", "inactive"),
                ("ERROR", "error"),
                ("INITIALIZING", "initializing"),
            ],
        },
    ],
    functions: &[
        Function {
            name: "chat",
            params: &[MESSAGES, Param::new("options", Kind::Table(&CHAT)).optional()],
            returns: &[("response", "zigllms.Response")],
            doc: "Asks a model. `messages` is a string, a message, or an array of `{role, content}`, where `content` is a text or \
                  parts: `{type=\"text\", text=}`, `{type=\"image\"|\"document\", data=bytes | path= | url=}`; `cache=true` on a \
                  part or message lets the provider keep the prompt up to there. The options may also \
                  stand beside `messages` in one table. The response has `content`, `tool_calls`, `finish_reason`, `usage`, \
                  `message` (to be appended as it is), `cost` where the provider has `prices`; `tostring` gives the content. With \
                  `response_format` it has `parsed`, and `structured` tells who saw to it: \"strict\" the server let nothing pass \
                  that does not fit the schema, \"json\" nothing that is no JSON, \"prompted\" the model was asked to; \
                  `parsed` is checked in any case. \
                  Transient failures are retried before anything was delivered; then those in `fallback` are asked, after any \
                  failure but a refused request (`bad_request`) or content (`content_filter`). They get the call's settings of generation, tools and time \
                  limits, not its model, `headers`, `extra` and `rate_limit`, and their own fallbacks are not asked. `provider`, \
                  `model` and `attempts` of the response tell who answered and how many requests that took; if all fail, \
                  the last error has what the others said in `details.fallbacks`. With `cache` an answer to the same question \
                  is kept and given again: `cached=true`, with the usage and cost of then, which are not counted again; streamed, it \
                  comes in one chunk. Answers of fallbacks, those cut off by a filter and those that are cancelled are not kept. Waits.",
            errors: ANSWERS,
            effect: Effect::Outside,
            example: "local ok, err = pcall(zigllms.provider.chat, \"hello\", { provider = \"openai\", base_url = nil })",
            run: Run::Waits(chat::chat),
        },
        Function {
            name: "stream",
            params: &[
                MESSAGES,
                Param::new("callback", Kind::OneOf(&[Kind::Function, Kind::Table(&CHAT)]))
                    .optional(),
                Param::new("options", Kind::Table(&CHAT)).optional(),
            ],
            returns: &[("response", "zigllms.Response")],
            doc: "As `chat`, with `callback(chunk)` called as the answer arrives; returning false stops it. Without a \
                  callback it returns a handle at once: `for chunk in zigllms.provider.stream(messages, options) do`. \
                  A chunk has `content`, `index`, `done`; the last one has `done=true`, `finish_reason` and `usage`. Waits.",
            errors: ANSWERS,
            effect: Effect::Outside,
            example: "local ok, err = pcall(zigllms.provider.stream, \"hello\", function(chunk) io.write(chunk.content) end, { provider = \"openai\" })",
            run: Run::Waits(chat::stream),
        },
        Function {
            name: "create",
            params: &[Param::new("config", Kind::Table(&CONFIG))],
            returns: &[("provider_id", "string")],
            doc: "Makes a provider of its own. No network is used, and no key is needed yet. `rate_limit` is counted for each \
                  provider (and `key`), by every call that asks it: requests, retries and lists of models too. With `transport` a \
                  function of yours makes the HTTP requests. It returns `{status=, headers=, body=}`, or `nil, message` for \
                  a network error, which is retried; what it raises is raised. While it runs, `request.stream(bytes)` takes \
                  pieces of the body and delivers them; it returns false where no more is wanted: the answer is \
                  complete, or the call was cancelled, or is late. `request.timeout_ms` is how long it may take to the first piece. `proxy` and \
                  `ca` are then for your function to see to; redirects are not to be followed.",
            errors: &[Code::AlreadyExists, Code::Unsupported],
            effect: Effect::Writes("providers"),
            example: "local id = zigllms.provider.create{ type = \"openai\", name = \"box\", base_url = \"http://127.0.0.1:8080/v1\", api_key = \"none\" }",
            run: Run::Now(manage::create),
        },
        Function {
            name: "configure",
            params: &[PROVIDER, Param::new("config", Kind::Table(&CONFIG))],
            returns: &[("ok", "true")],
            doc: "Merges options into a provider; `zigllms.null` restores a default. A type name stands for the default \
                  provider of that type. The type itself stays.",
            errors: &[Code::NotFound, Code::AlreadyExists, Code::Unsupported],
            effect: Effect::Writes("providers"),
            example: "zigllms.provider.configure(\"openai\", { timeout_ms = 30000 })",
            run: Run::Now(manage::configure),
        },
        Function {
            name: "list",
            params: &[],
            returns: &[("providers", "table[]")],
            doc: "The four default types and everything created: `{id, name, type, status, model, base_url, is_default}`.",
            errors: &[],
            effect: Effect::Reads("providers"),
            example: "for _, p in ipairs(zigllms.provider.list()) do print(p.id, p.status) end",
            run: Run::Now(manage::list),
        },
        Function {
            name: "get",
            params: &[PROVIDER],
            returns: &[("info", "table?")],
            doc: "What `list` tells, with `embed_model`, options, request counts, usage, `has_key` and `capabilities`: \
                  `{streaming, tools, vision, json_schema, embeddings, count_tokens}`; nil if there is none. What it lacks is \
                  `unsupported`, but for two: without `json_schema` a schema is told to its usual model in words, and without \
                  `count_tokens` tokens are estimated.",
            errors: &[],
            effect: Effect::Reads("providers"),
            example: "print(zigllms.provider.get(\"openai\").has_key)",
            run: Run::Now(manage::get),
        },
        Function {
            name: "destroy",
            params: &[PROVIDER],
            returns: &[("existed", "boolean")],
            doc: "Forgets a provider; a default one loses its configuration. Agents that use it fail at their next run.",
            errors: &[],
            effect: Effect::Writes("providers"),
            example: "local id = zigllms.provider.create{ type = \"local\" }\nassert(zigllms.provider.destroy(id))",
            run: Run::Now(manage::destroy),
        },
        Function {
            name: "get_models",
            params: &[
                Param::new("provider_id", Kind::Id("a provider")).optional(),
                Param::new("options", Kind::Table(&MODELS)).optional(),
            ],
            returns: &[("models", "table[]")],
            doc: "Which models there are, all pages of the list, asked live and kept for `cache.ttl_ms`: `{id, name, owned_by, created, \
                  context_length, max_output_tokens}`, sorted by id. Waits.",
            errors: ANSWERS,
            effect: Effect::Outside,
            example: "local ok, err = pcall(zigllms.provider.get_models, \"openai\")",
            run: Run::Waits(ask::get_models),
        },
    ],
    extras: &[
        Function {
            name: "embed",
            params: &[
                Param::new("input", Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Name)])),
                Param::new("options", Kind::Table(&EMBED)).optional(),
            ],
            returns: &[("result", "zigllms.Embeddings")],
            doc: "Turns texts into vectors. `input` is a text or an array of texts; the result has `embeddings`, an array of \
                  numbers for each of them, in their order, with `dimensions`, `model`, `provider`, `usage` and `cost`. Long arrays \
                  are sent in as many requests as the provider wants; where one fails, `err.partial` has what came before. Without `model` the provider's `embed_model` is asked, \
                  which `get` shows; llamacpp and vllm are asked for the first model they list. A provider without embeddings \
                  (anthropic, groq, xai, deepseek) is `unsupported`. A model file gives vectors of length 1: as it was made for, \
                  or the mean of its tokens. Waits.",
            errors: ANSWERS,
            effect: Effect::Outside,
            example: "local ok, err = pcall(zigllms.provider.embed, { \"a cat\", \"a dog\" }, { provider = \"openai\" })",
            run: Run::Waits(ask::embed),
        },
        Function {
            name: "count_tokens",
            params: &[MESSAGES, Param::new("options", Kind::Table(&COUNT)).optional()],
            returns: &[("tokens", "integer"), ("exact", "boolean")],
            doc: "How many tokens messages, or a text, hold. Providers with `capabilities.count_tokens` are asked (anthropic, \
                  llamacpp, vllm, openai with `api=\"responses\"`), and the engine inside the module counts with the model's own \
                  template: then `exact` is true. Others are not asked: a quarter of the bytes of each text, 85 for an image, \
                  and `exact` is false; also where a server turns out to know no such question. A text is counted as it stands \
                  where that can be asked, else as a user message. Waits where somebody is asked.",
            errors: ANSWERS,
            effect: Effect::Outside,
            example: "local tokens, exact = zigllms.provider.count_tokens(\"How long is this?\", { provider = \"openai\" })\nassert(tokens == 5 and not exact)",
            run: Run::Waits(ask::count_tokens),
        },
    ],
};
