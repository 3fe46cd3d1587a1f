---@meta zigllms
-- Written by tools/docs.lua from the module's own tables: do not edit.
-- luacheck: ignore

---Agents, tools and language models.
---@class zigllms
---@field version string "x.y.z"
---@field _VERSION string "zigllms x.y.z"
---@field description string one line of text
---@field null lightuserdata null of JSON; as an option it means unset
---@field safe zigllms the same functions, returning nil and the error object
---@field agent zigllms.agent A model with instructions, tools and a memory of the conversation.
---@field tool zigllms.tool Functions that models may call: a name, a JSON Schema of the input, and a Lua function.
---@field workflow zigllms.workflow Workflows: steps that call agents, tools and functions, one after the other, side by side, by conditions or in loops, and what becomes of their results.
---@field provider zigllms.provider Language models: OpenAI (chat and Responses), Anthropic, Cohere, Ollama, every server that speaks OpenAI's protocol, and GGUF files that the module runs itself.
---@field event zigllms.event Telling others what happens, and hearing of it. Names are segments with dots between them. In a pattern `*` is one segment, and any rest of the name at its end (`workflow.*`, `agent.st*`); `**` is any number of segments. A handler gets one argument, the event: `{id, type, name, category, priority, data, source, timestamp, correlation_id?, tags?, metadata?, replayed?, remote?}`, whose `type` and `name` are its full name. The module itself tells `agent.started` `{agent_id, agent_name, input}`, `agent.completed` (and `content`, `usage`, `finish_reason`, `duration_ms`) or `agent.failed` (and `error`, `duration_ms`); `tool.invoked` `{tool_id, tool_name, input, agent_id?, call_id?}`, `tool.succeeded` (and `output`, `duration_ms`) or `tool.failed` (and `error`, `duration_ms`); of MCP servers also `tool.progress` `{server, tool, progress, total?, message?, agent_id?, call_id?}` and `tool.log` `{server, text, stream, level?}`; `provider.request` `{provider, model, operation, agent_id?}`, `provider.retry` (and `attempt`, `delay_ms`, `error`, `next_provider?`), `provider.response` (and `usage`, `attempts`, `finish_reason`, `duration_ms`) or `provider.error` (and `error`, `duration_ms`); `memory.updated` `{op, key?, scope?, owner?, count?}`; `hook.failed` `{hook_id, point, error}`; `workflow.started` `{workflow_id, workflow_name, execution_id, input}`, then `workflow.completed` or `workflow.paused` (and `result`, `duration_ms`), `workflow.failed` or `workflow.cancelled` (and `error`, `duration_ms`), and `workflow.resumed` as it goes on; of each step the same ids in `workflow.step_started` (and `step_id`, `step_type`, `input`), `workflow.step_completed` (and `output`, `attempts`, `duration_ms`), `workflow.step_failed` (and `error`, `attempts`, `duration_ms`) or `workflow.step_skipped` (and `reason`); `system.handler_error` `{subscription_id, event, error}`; `system.batch_error` `{error, lost}`.
---@field test zigllms.test Agents, tools and workflows tested without a network and without a key.
---@field schema zigllms.schema JSON Schema: checks data, makes data fit, and makes schemas. A schema is a JSON Schema as a table or as JSON text, the short form `{name="string", age="integer?", tags={"string"}}`, a boolean, the id or name of a created schema, or a compiled one.
---@field memory zigllms.memory What programs and agents remember: values by scope, owner and key, for a while or for good.
---@field hook zigllms.hook Functions around operations: they change what goes in and what comes out, or say no.
---@field output zigllms.output Reads what models write, as they write it, and writes what they read.
---@field cache zigllms.cache Results that are kept, so that they need not be computed, or asked for, again: configured by `configure{cache=}`. A result is never stale: it goes when anything changes that it was made from, and answers of others after `ttl_ms`. With `configure{store=}`, answers of `provider.chat` and `provider.embed` lie in the store, too, with their questions, and any process gets them that asks the same of the same provider; what a `transport` or a tool answers stays in its process. Each hit is a fresh table. Two equal calls at the same time are both made.
local zigllms = {}

---@class zigllms.Config
---@field default_provider? string used where no provider is named [env ZIGLLMS_PROVIDER, else the only type with a key in the environment, else "mock" if ZIGLLMS_MOCK=1]
---@field strict? boolean unknown option keys are errors [true]
---@field profiling? boolean|zigllms.Profiling measure how long calls take, for `metrics()`: true = all of them [false]
---@field http? zigllms.HttpConfig defaults of all network calls
---@field session? string owner of memory scope SESSION [a random one for each instance]
---@field store? string|zigllms.Store where PERSISTENT data lie: "memory", the path of a file, "sqlite:PATH" or "redis://HOST" ["memory"]
---@field durability? "batched"|"sync" "sync": each write is on the disk before it returns ["batched"]
---@field journal_keep_ms? number a number of at least 0: how long finished durable runs are kept: a week [604800000]
---@field batch? zigllms.BatchConfig how writes are committed together
---@field cache? zigllms.CacheConfig results that are kept so that they need not be computed, or asked for, again
---@field stack? zigllms.StackConfig foretelling the stack slots of results
---@field memory? zigllms.MemoryConfig bounds and search of `memory`
---@field tools? zigllms.ToolsConfig what built-in tools may reach
---@field loop? "auto"|"blocking"|"nvim"|"openresty"|"luv"|"copas"|"cqueues"|zigllms.Loop how to wait, see `loop` ["auto"]

---@class zigllms.Profiling
---@field sample_rate? number a number from 0 to 1: the share of calls that is measured [1]

---@class zigllms.HttpConfig: zigllms.Limits
---@field proxy? string|boolean URL of a proxy; false = none [from the environment]
---@field ca? string "platform", "webpki" or the path of a PEM file ["platform"]
---@field headers? table<string, string|number|boolean> added to every request

---@class zigllms.Limits
---@field connect_timeout_ms? number a number of at least 0: DNS, TCP and TLS; 0 = no limit, as for all of these [10000]
---@field first_token_timeout_ms? number a number of at least 0: request sent until the first content [120000]
---@field idle_timeout_ms? number a number of at least 0: between contents [60000]
---@field timeout_ms? number a number of at least 0: the whole call with its retries [600000]
---@field max_response_bytes? integer an integer of at least 1: largest reply body [67108864]
---@field retry? boolean|zigllms.Retry when a request that failed is made again; `false` = one attempt [three attempts]
---@field max_retries? integer an integer from 0 to 100: short for `retry.max_attempts - 1` [2]
---@field flush_ms? number a number of at least 0: at most one chunk per interval [0]
---@field rate_limit? zigllms.RateLimit what this provider gets in any minute; calls wait their turn, retries too [none]

---@class zigllms.Retry
---@field max_attempts? integer an integer from 1 to 100: requests at most [3]
---@field initial_delay_ms? number a number of at least 0: first pause [500]
---@field max_delay_ms? number a number of at least 0: longest pause [8000]
---@field multiplier? number a number from 1 to 100: growth of the pause [2]
---@field jitter? boolean shorten pauses by up to a quarter [true]

---@class zigllms.RateLimit
---@field requests_per_minute? integer an integer of at least 1: requests, wherever the minute begins [no limit]
---@field tokens_per_minute? integer an integer of at least 1: tokens: the prompt as estimated (bytes / 4) and `max_tokens`, until the answer tells its usage [no limit]
---@field key? string counted by itself: a user, a tenant
---@field on_limit? "wait"|"raise" "raise": `rate_limited` with `retry_after_ms`, nothing is sent ["wait"]
---@field shared? boolean true: counted in the store, for all processes whose provider has the same name [false]

---@class zigllms.Store
---@field backend? "memory"|"sqlite"|"redis" what kind of store [as `path` or `url` says]
---@field path? string of the file of a SQLite store
---@field url? string of a Redis server; a password in it is shown nowhere

---@class zigllms.BatchConfig
---@field enabled? boolean writes of PERSISTENT entries are committed together; false: each by itself [true]
---@field max_batch_size? integer an integer from 1 to 10000: so many queued writes are committed at once [100]
---@field timeout_ms? number a number from 0 to 3600000: so long after the oldest one they are, however few [20]
---@field max_concurrency? integer an integer from 1 to 1000000: calls of `zigllms.batch` at the same time [8]

---@class zigllms.CacheConfig
---@field enabled? boolean false: nothing is kept [true]
---@field size? integer an integer of at least 0: most results kept [1000]
---@field max_bytes? integer an integer of at least 0: most bytes, keys included [33554432]
---@field ttl_ms? number a number of at least 0: how long answers of others are kept: models, tools; 0 = no limit [300000]
---@field eviction? "lru"|"lfu"|"fifo" what makes room: "lru" not used for longest, "lfu" used least, "fifo" the oldest ["lru"]
---@field functions? table<string, boolean> `{["output.parse"]=true}` caches what is not cached by itself, false what is; `provider.chat`: at temperature 0 [{}]

---@class zigllms.StackConfig
---@field enabled? boolean predict and count what results need [true]
---@field learning? boolean keep the most that each function needed [true]

---@class zigllms.MemoryConfig
---@field max_entries? integer an integer of at least 1: SHORT_TERM entries kept; the one unused for longest goes first [10000]
---@field embed_provider? string asked for embeddings by `memory.search` and `embed=true`
---@field embed_model? string its model [the provider's]

---@class zigllms.ToolsConfig
---@field file_roots? (string)[] directories below which `file_reader` looks; {} = nowhere [{"."}]
---@field http? zigllms.ToolHttpConfig where `http_request` may go
---@field process? zigllms.ToolProcessConfig which programs `process_runner` may run; without one it is not there
---@field write_roots? (string)[] directories below which `file_writer` writes; without one it is not there [{}]

---@class zigllms.ToolHttpConfig
---@field allow_private? boolean|(string)[] addresses that are not public: all of them, or these hosts, addresses and CIDR blocks [false]

---@class zigllms.ToolProcessConfig
---@field allow? (string|zigllms.AllowedProgram)[] programs that `process_runner` may run [{}]

---@class zigllms.AllowedProgram
---@field program string a name on PATH, or an absolute path [required]
---@field args? (string)[] it gets arguments, the first of which is one of these; {} = it gets none [any]

---@class zigllms.Loop
---@field wait function `function(fd, timeout_ms)`: returns when the descriptor is readable or the time is over (nil: no limit); may yield [required]

---@class zigllms.FlushOptions
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine
---@field detach? boolean true = a handle at once, for work that outlives its owner: it ends neither with the request or call it was started in nor with its handle, and has no stream or `on` callbacks [false]

---@class zigllms.MetricsOptions
---@field reset? boolean start counting anew after reading [false]

---@class zigllms.MapOptions
---@field max_concurrency? integer an integer from 1 to 1000000: calls at the same time [8]
---@field on_each? function `function(done, total, index, err)` after each item
---@field on_error? "raise"|"return" "raise": the first error ends it (`details.index`); "return": errors come as the second result ["raise"]
---@field keep? boolean an error does not cancel the other calls [false]
---@field async? boolean true = a handle at once [false]

---@class zigllms.BatchOptions
---@field max_concurrency? integer an integer from 1 to 1000000: calls that wait at the same time; those of priority "critical" do not count [8]
---@field on_each? function `function(done, total, index, err)` after each call
---@field async? boolean true = a handle at once [false]

---@class zigllms.AgentConfig: zigllms.AgentBehaviour, zigllms.Generation, zigllms.Limits, zigllms.Reach
---@field name? string need not be unique [the id]
---@field description? string for people
---@field provider? string|zigllms.ProviderConfig id, name or type of a provider, or a configuration of its own [`default_provider`]
---@field model? string the model asked [the provider's]
---@field memory? boolean|zigllms.AgentMemory `false` = every run starts anew [{type="short_term"}]
---@field memory_config? boolean|zigllms.AgentMemory the same as `memory`
---@field hooks? table<string, function> a function for each point, as `hook.register` takes them: for this agent only, with its tools and requests [none]

---@class zigllms.ProviderConfig: zigllms.Limits, zigllms.Reach
---@field type? "openai"|"anthropic"|"cohere"|"local"|"ollama"|"groq"|"openrouter"|"xai"|"gemini"|"mistral"|"deepseek"|"azure"|"llamacpp"|"vllm"|"lmstudio"|"mock" a `provider.Type`; "mock" says again what the user said last [required]
---@field provider? "openai"|"anthropic"|"cohere"|"local"|"ollama"|"groq"|"openrouter"|"xai"|"gemini"|"mistral"|"deepseek"|"azure"|"llamacpp"|"vllm"|"lmstudio"|"mock" the same as `type`
---@field name? string another name for it, unique
---@field enabled? boolean false: calls are refused [true]
---@field api_key? string never shown again, however a server echoes it [from the environment]
---@field base_url? string any compatible server [the vendor's]
---@field model? string asked where a call names none [per type; `local`: the first one the server lists]
---@field embed_model? string asked where a call of `embed` names none [per type; shown by `get`]
---@field model_path? string `local`: a GGUF file that the module runs itself
---@field context_length? integer an integer of at least 16: `model_path`: tokens of prompt and answer [the model's, at most 4096]
---@field threads? integer an integer from 1 to 256: `model_path`: more pay only on idle cores [1]
---@field organization? string sent as OpenAI-Organization
---@field project? string sent as OpenAI-Project
---@field proxy? string|boolean URL of a proxy; false = none [from the environment]
---@field ca? string whom TLS trusts: "platform", "webpki" or the path of a PEM file ["platform"]
---@field headers? table<string, string|number|boolean> added to every request; their values are not shown
---@field extra? table merged verbatim into the request bodies of chats; texts under names like `…key` and `…token` are not shown
---@field printed_tool_calls? boolean read calls of the tools offered that the model printed as text [true for `local`, `llamacpp`, `vllm`, `lmstudio`]
---@field api? "chat"|"responses"|"ollama" the protocol spoken: `responses` with `openai` (which keeps answers there, unless `extra={store=false}`), `ollama` with `local` ["chat"]
---@field prices? table `{[model] = {input=, output=, cached=, cache_write=}}` for a million tokens: what `cost` is computed from; the last two cost as `input` unless they are given [none]
---@field api_version? string anthropic, azure: the version spoken [per type]

---@class zigllms.Reach
---@field fallback? (string|zigllms.Fallback)[] asked in this order where a provider fails before the first chunk: ids, names, types, configurations, or `{provider=, model=}` [none]
---@field transport? function `function(request)` makes the HTTP request (`{method, url, headers, body, timeout_ms, stream}`) and returns `{status=, headers=, body=}`, or `nil, message`; may wait, and call `request.stream(bytes)` [built in]

---@class zigllms.Fallback: zigllms.ProviderConfig, zigllms.Limits
---@field provider? string|zigllms.ProviderConfig id, name or type; or a configuration [the one that failed]
---@field transport? function `function(request)` makes the HTTP request (`{method, url, headers, body, timeout_ms, stream}`) and returns `{status=, headers=, body=}`, or `nil, message`; may wait, and call `request.stream(bytes)` [built in]

---@class zigllms.AgentMemory
---@field type? "short_term"|"persistent" "persistent": the conversation lies in the store under the agent's name, for all processes ["short_term"]
---@field max_messages? integer an integer from 1 to 1000000: newest messages that are sent [100]
---@field max_tokens? integer an integer of at least 1: the same in tokens (bytes / 4)

---@class zigllms.AgentBehaviour
---@field system_prompt? string instructions, never dropped from the window
---@field system? string the same as `system_prompt`
---@field instructions? string the same as `system_prompt`
---@field max_iterations? integer an integer from 1 to 100000: rounds of model and tools [10]
---@field budget? zigllms.Budget hard limits of a run with its tools and the agents inside it, looked at before each request
---@field on_limit? "raise"|"return" what reaching a limit does [budget raises, max_iterations returns]
---@field tools? (string|zigllms.ToolDefinition)[] ids, names or definitions: nothing else is offered to the model [none]
---@field metadata? table kept as it is
---@field summarize? function|zigllms.Summarizer `function(messages) → message | string`, or `{model=}`: sums up what falls out of the window, and stands in its place from then on [none: they are left out]

---@class zigllms.Budget
---@field max_total_tokens? number a number of at least 1: prompt and completion tokens
---@field max_steps? integer an integer from 1 to 1000000: questions to models; a repeated request is none
---@field max_ms? number a number of at least 1: time; requests and tools that wait are stopped then
---@field max_cost? number a number of at least 0: costs, by the providers' `prices`; a model without a price is refused: invalid_argument

---@class zigllms.ToolDefinition
---@field name string letters, digits, `_` and `-`, at most 64 [required]
---@field description? string what it does; the model reads it [""]
---@field parameters? zigllms.Schema schema of the input [an object without properties]
---@field schema? zigllms.Schema the same as `parameters`
---@field input_schema? zigllms.Schema the same as `parameters`
---@field returns? zigllms.Schema schema of the result, checked when given
---@field output_schema? zigllms.Schema the same as `returns`
---@field execute? fun(input: any, ctx: zigllms.ToolContext): any, string? `function(input, ctx)`; without it the tool is declared, if it is not a built-in: calls come back to the client
---@field handler? fun(input: any, ctx: zigllms.ToolContext): any, string? the same as `execute`
---@field category? string a `tool.Category` or any other word ["custom"]
---@field execution_mode? "direct"|"async"|"sandboxed" "async": `tool.execute` gives a handle at once, and the calls of an agent's round run side by side; "sandboxed": `source` runs in a Lua state of its own, without a way out ["direct"; with `source` alone "sandboxed"]
---@field timeout_ms? number a number of at least 0: limit of one call; 0 = none [60000; sandboxed 1000]
---@field max_retries? integer an integer from 0 to 100: further calls after one that raised [0]
---@field on_error? "return"|"raise" "raise": an agent's run ends with the tool's error ["return"]
---@field validate? boolean check inputs against `parameters` [true]
---@field replace? boolean overwrite a tool of that name [false]
---@field tags? (string)[] free words [{}]
---@field version? string shown in infos ["1.0.0"]
---@field examples? table|(any)[] shown in infos [{}]
---@field metadata? table kept as it is
---@field id? string ignored: `tool.get` returns it
---@field agent? string the agent that does the work, where there is no `execute`: what `agent.as_tool` makes
---@field mode? "call"|"handoff" with `agent`: its answer is the tool's result, or that of the run that calls it ["call"]
---@field history? boolean with `agent`: it reads the conversation of the run that calls it [false]
---@field session? string with `agent`: the conversation of its own that it goes on with [none: each call starts anew]
---@field source? string Lua text that returns `function(input, ctx)`, at most 1 MiB: what runs sandboxed. Without `execute` the tool always does
---@field builtin? string the built-in tool that does the work, where there is no `execute` [the name, if a built-in has it]
---@field memory_limit? integer an integer of at least 65536: bytes of memory that one sandboxed call may have [67108864]
---@field max_result_bytes? integer an integer of at least 0: bytes of the result of a sandboxed call: of its strings and keys, and one for each other value [1048576]
---@field requires_approval? boolean|function true, or `function(input, ctx)` that says so of one call: an agent's run stops before it, until `agent.resume` says what to do. A function that raises says yes [false]
---@field cache? boolean|number a boolean or a number of at least 1: true, or milliseconds: its results are kept so long, for equal inputs; a hit is a copy of a result that is plain data [false]
---@field max_concurrency? integer an integer from 1 to 1000000: calls of it at once; others wait their turn, in order, which takes none of their time [no limit]

---@class zigllms.Summarizer
---@field model? string the model that sums up [the agent's]
---@field provider? string whose model it is [the agent's]
---@field prompt? string what the model is told to do [asks for a short summary]

---@class zigllms.Generation
---@field temperature? number a number from 0 to 2: randomness; sent only when set, as are all of these
---@field top_p? number a number from 0 to 1: nucleus sampling
---@field top_k? integer an integer of at least 1: sample from the k likeliest tokens
---@field max_tokens? integer an integer of at least 1: longest answer, in tokens
---@field stop? string|(string)[] texts that end the answer
---@field seed? integer for repeatable sampling
---@field presence_penalty? number a number from -2 to 2: against repeated topics
---@field frequency_penalty? number a number from -2 to 2: against repeated words
---@field reasoning? "none"|"low"|"medium"|"high" effort of thinking models
---@field tool_choice? "auto"|"none"|"required"|zigllms.NamedTool whether tools may, must not or must be called; in a run of an agent a call is forced once ["auto"]
---@field parallel_tool_calls? boolean several calls in one answer [the provider's]
---@field printed_tool_calls? boolean read calls of the tools offered that the model printed as text [true for `local`, `llamacpp`, `vllm`, `lmstudio`]
---@field prompt_cache? boolean|string the provider may keep the prompt, to read it faster next time; a text says how long: "1h" [false]
---@field response_format? zigllms.Schema "json" or a schema: structured output in `parsed`
---@field schema? zigllms.Schema the same as `response_format`
---@field extra? table merged verbatim into the request body
---@field headers? table<string, string|number|boolean> added to the request
---@field cache? boolean|number a boolean or a number of at least 1: true, or milliseconds: an answer to the same question is kept for so long and given again (`cached`) [false]

---@class zigllms.NamedTool
---@field name? string the tool to call

---@class zigllms.AgentDestroy
---@field keep_memory? boolean true: what lies under its name in `memory` stays, and so do its conversations in the store [false]

---@class zigllms.RunOptions: zigllms.AgentBehaviour, zigllms.Generation, zigllms.Limits, zigllms.Reach
---@field remember? boolean false: neither read nor write the conversation [true]
---@field session? string a conversation of its own, by name
---@field stream? boolean|fun(chunk: zigllms.Chunk): boolean? `function(chunk)`, called as the answer arrives; returning false stops it. true = a handle to loop over
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine
---@field detach? boolean true = a handle at once, for work that outlives its owner: it ends neither with the request or call it was started in nor with its handle, and has no stream or `on` callbacks [false]
---@field model? string the model asked [the agent's]
---@field raw? boolean keep what the provider sent in `raw`: its document, or the array of a stream's events [false]

---@class zigllms.AgentFilter
---@field state? "idle"|"ready"|"running"|"completed"|"error" agents in this state
---@field provider? string agents of this provider
---@field name? string a name; `*` stands for any text
---@field ids? boolean an array of ids instead of tables [false]

---@class zigllms.AgentReset
---@field keep_usage? boolean keep usage and counters [false]
---@field session? string clear this conversation only
---@field memory? boolean true: also what lies under its name in `memory` [false]

---@class zigllms.Decision
---@field arguments? table the call is made with these arguments instead
---@field deny? string it is not made, and the model is told why
---@field result? any it is not made: this is its result

---@class zigllms.ResumeOptions: zigllms.AgentBehaviour, zigllms.Generation, zigllms.Limits, zigllms.Reach
---@field session? string the conversation, by name
---@field stream? boolean|fun(chunk: zigllms.Chunk): boolean? `function(chunk)`, called as the answer arrives; returning false stops it. true = a handle to loop over
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine
---@field detach? boolean true = a handle at once, for work that outlives its owner: it ends neither with the request or call it was started in nor with its handle, and has no stream or `on` callbacks [false]
---@field model? string the model asked [the agent's]
---@field raw? boolean keep what the provider sent in `raw`: its document, or the array of a stream's events [false]

---@class zigllms.AsTool
---@field name? string of the tool [the agent's]
---@field description? string what the agent is for; the model that calls it reads this [the agent's]
---@field parameters? zigllms.Schema schema of what it is given; anything but a lone `input` is read as `agent.run` reads a table [`{input=string}`]
---@field mode? "call"|"handoff" "handoff": its answer becomes the response of the run that calls it ["call"]
---@field history? boolean true: it reads the conversation that the calling model was shown [false]
---@field session? string a conversation of its own that it goes on with [none: each call starts anew]

---@class zigllms.SendOptions
---@field session? string only a run of this conversation; "" is the agent's own [any]

---@class zigllms.ToolOptions
---@field timeout_ms? number a number of at least 0: limit of this call; 0 = none [the tool's]
---@field retries? integer an integer from 0 to 100: further calls after one that raised [the tool's max_retries]
---@field validate? boolean check the input [the tool's]
---@field context? table added to the `ctx` of the function
---@field mode? "direct"|"async"|"sandboxed" how it runs; "sandboxed" needs the tool's `source` [the tool's]
---@field cache? boolean|number a boolean or a number of at least 1: true, or milliseconds: the result of a call with an equal input is given again [the tool's]
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine
---@field detach? boolean true = a handle at once, for work that outlives its owner: it ends neither with the request or call it was started in nor with its handle, and has no stream or `on` callbacks [false]

---@class zigllms.ToolFilter: zigllms.ListFilter
---@field category? string tools of this category
---@field tags? (string)[] tools that have all of these
---@field capabilities? ("network"|"filesystem"|"asynchronous")[] tools that are known to need all of these
---@field name_pattern? string as `name`
---@field source? "builtin"|"script"|"declared"|"mcp" who does the work

---@class zigllms.ListFilter
---@field ids? boolean an array of ids instead of tables [false]
---@field name? string a name; `*` stands for any text, `?` for any character

---@class zigllms.McpImportOptions: zigllms.McpImport
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine
---@field detach? boolean true = a handle at once, for work that outlives its owner: it ends neither with the request or call it was started in nor with its handle, and has no stream or `on` callbacks [false]

---@class zigllms.McpImport
---@field command? (string)[] a server to run: the program and its arguments. It speaks on its standard input and output
---@field url? string or a server to ask: `http://` or `https://`
---@field name? string stands before the names of the tools: `<name>_<tool>`
---@field include? string|(string)[] tools that are wanted, by their names there: `*` is any text, `?` any character [all]
---@field exclude? string|(string)[] tools that are not [none]
---@field cwd? string directory that the program runs in [the host's]
---@field env? table<string, string> environment of the program, beside HOME, PATH and their like: it inherits nothing else
---@field headers? table<string, string|number|boolean> added to every request to `url`
---@field timeout_ms? number a number of at least 0: limit of the import, and of each call of its tools; 0 = none [60000]
---@field requires_approval? boolean|function|string|(string)[] true, names (with `*`) of the tools that do, or `function(input, ctx)`: inside an agent a call waits for a human [false]

---@class zigllms.McpServeOptions: zigllms.McpServe
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine
---@field detach? boolean true = a handle at once, for work that outlives its owner: it ends neither with the request or call it was started in nor with its handle, and has no stream or `on` callbacks [false]

---@class zigllms.McpServe
---@field name? string what the server calls itself ["zigllms"]
---@field version? string its version [the module's]
---@field title? string the same for people
---@field instructions? string how its tools are meant to be used: clients may give it to their models
---@field page_size? integer an integer from 1 to 100000: tools in one answer to `tools/list` [100]

---@class zigllms.WorkflowDefinition: zigllms.WorkflowSettings, zigllms.WorkflowLoop
---@field steps (zigllms.Step)[] the steps; none: the output is the input [required]
---@field if_true? (zigllms.Step)[] conditional: the steps if it holds [{}]
---@field then? (zigllms.Step)[] the same as `if_true`
---@field if_false? (zigllms.Step)[] conditional: the steps if it does not [{}]
---@field else? (zigllms.Step)[] the same as `if_false`
---@field id? string ignored: `workflow.get` returns it

---@class zigllms.Step: zigllms.WorkflowLoop
---@field id? string unique in the workflow; without `.`, `[` and `]` [its name, else step_<n>]
---@field name? string the id; beside an `id` what people call the step
---@field type? "agent_call"|"agent"|"tool_call"|"tool"|"function"|"workflow_call"|"sequential"|"parallel"|"condition"|"loop"|"map"|"delay"|"emit"|"transform"|"script" what it does [what its fields say]
---@field input? function|any what it works on; texts in it are templates [the previous output]
---@field depends_on? (string)[] ids of steps of the same list, which run first [{}]
---@field condition? string|fun(ctx: zigllms.StepContext): any the step is skipped unless it holds; of condition: which branch; of loop: while it holds
---@field when? string|fun(ctx: zigllms.StepContext): any skipped unless it holds, also condition and loop
---@field retry? zigllms.StepRetry further attempts after one that failed
---@field retry_count? integer an integer from 0 to 999: short for `retry.max_attempts - 1` [0]
---@field retry_delay_ms? number a number of at least 0: short for `retry.backoff_ms` [1000]
---@field timeout_ms? number a number of at least 0: limit of the step with its attempts [none]
---@field continue_on_error? boolean a failure does not end the workflow [the workflow's `on_error`]
---@field default? any the output of a step that failed, where the workflow goes on
---@field output? any|fun(value: any, ctx: zigllms.StepContext): any a template or `function(value, ctx)` in place of the output
---@field idempotent? boolean durable: may be run again if it is not known whether it ended [false]
---@field on_unknown? "retry"|"fail" durable: what becomes of a step of which nobody knows whether it ended ["fail" for tool_call, else "retry"]
---@field metadata? table kept as it is
---@field agent? string agent_call: who is asked
---@field options? zigllms.StepRunOptions agent_call: options of the run
---@field tool? string tool_call: what is called
---@field fn? fun(ctx: zigllms.StepContext): any function, transform: `function(ctx)`
---@field execute? fun(ctx: zigllms.StepContext): any the same as `fn`
---@field workflow? string workflow_call: what is executed
---@field steps? (zigllms.Step)[] sequential, parallel, loop, map: the steps inside
---@field aggregation? "all"|"first"|"majority" parallel: a table by step, the first output there is, or the one that most have ["all"]
---@field max_concurrency? integer an integer from 1 to 100000: parallel, map: so many at once [8]
---@field fail_fast? boolean parallel, map: the first failure ends the others [true]
---@field if_true? (zigllms.Step)[] condition: the steps if it holds [{}]
---@field then? (zigllms.Step)[] the same as `if_true`
---@field if_false? (zigllms.Step)[] condition: the steps if it does not [{}]
---@field else? (zigllms.Step)[] the same as `if_false`
---@field over? function|any map: an array, a template that gives one, or a function
---@field duration_ms? number a number of at least 0: delay: how long
---@field jitter_percent? number a number from 0 to 100: delay: longer or shorter by so much [0]
---@field event? string emit: name of the event
---@field data? function|any emit: what the event carries [the previous output]
---@field template? any transform: what the value is made from
---@field code? string script: Lua that runs in a sandbox; it gets `ctx` as `...`

---@class zigllms.StepRetry
---@field max_attempts? integer an integer from 1 to 1000: attempts at most [1]
---@field backoff_ms? number a number of at least 0: wait before the second one [1000]
---@field backoff_multiplier? number a number from 1 to 1000: each further wait is longer by this [2]

---@class zigllms.StepRunOptions: zigllms.AgentBehaviour, zigllms.Generation, zigllms.Limits, zigllms.Reach
---@field remember? boolean false: neither read nor write the conversation [true]
---@field session? string a conversation of its own, by name
---@field model? string the model asked [the agent's]
---@field raw? boolean keep what the provider sent in `raw`: its document, or the array of a stream's events [false]

---@class zigllms.WorkflowLoop
---@field items? function|any loop: an array, a template that gives one, or a function: an iteration for each item
---@field count? integer|string an integer of at least 0 or a string: loop: so many iterations; a number, or a template that gives one
---@field until_condition? string|fun(ctx: zigllms.StepContext): any loop: ends after the iteration it holds in
---@field until_? string|fun(ctx: zigllms.StepContext): any the same as `until_condition`
---@field max_iterations? integer an integer of at least 1: loop: where a condition alone says when it ends [100]
---@field iteration_delay_ms? number a number of at least 0: loop: between two iterations [0]
---@field break_on_error? boolean loop: false: the output of an iteration that failed is null [true]

---@class zigllms.WorkflowSettings
---@field name? string durable executions need one [the id]
---@field description? string for people [""]
---@field version? string another one is another workflow to durable executions ["1"]
---@field metadata? table kept as it is [{}]
---@field pattern? "sequential"|"parallel"|"conditional"|"loop" how the steps follow each other ["sequential"]
---@field max_concurrency? integer an integer from 1 to 100000: parallel: so many at once [8]
---@field input_schema? zigllms.Schema what the input has to look like
---@field output_schema? zigllms.Schema what the output has to look like
---@field variables? table values that steps share and may change [{}]
---@field timeout_ms? number a number of at least 0: limit of an execution [none]
---@field on_error? "fail"|"continue" "continue": no step that fails ends it ["fail"]
---@field keep? integer an integer from 0 to 1000000: finished executions that `get_result` knows [100]
---@field condition? string|fun(ctx: zigllms.StepContext): any conditional: which branch; loop: goes on while it holds

---@class zigllms.WorkflowOptions: zigllms.WorkflowExecution
---@field on_error? "raise"|"return" "return": a failure is a result with `status = "failed"` and `error` ["raise"]
---@field durable? boolean every step that has ended is recorded in the store: a run outlives its process [false]
---@field run_id? string durable: begins the run of that name, goes on with it, or gives its recorded result
---@field on_unknown? "retry"|"fail" durable: what becomes of a step of which nobody knows whether it ended [as the steps say]
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine
---@field detach? boolean true = a handle at once, for work that outlives its owner: it ends neither with the request or call it was started in nor with its handle, and has no stream or `on` callbacks [false]

---@class zigllms.WorkflowExecution
---@field timeout_ms? number a number of at least 0: limit of the execution, without the time it was paused; 0 = none [the workflow's]
---@field variables? table values of `variables` beside, or in place of, those of the definition
---@field on_step? fun(step: zigllms.StepResult) `function(step)`, called with `{id, status, output, …}` of each step that has ended
---@field metadata? table stands in the result

---@class zigllms.WorkflowResume
---@field decisions? table<string, "approve"|"deny"|zigllms.Decision> what becomes of each call that an agent waits for, by its id: as `agent.resume` takes them
---@field tool_results? table results of such calls, by their ids: `{[id]=value}` is the decision `{result=value}`
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine

---@class zigllms.WorkflowResultOptions
---@field wait? boolean true = waits until the execution has ended [false]
---@field timeout_ms? number a number of at least 0: waits at most so long, then raises `timeout`; 0 = no limit
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine

---@class zigllms.WorkflowFilter: zigllms.ListFilter
---@field status? "pending"|"running"|"paused"|"completed"|"failed"|"cancelled" status of the latest execution
---@field pattern? "sequential"|"parallel"|"conditional"|"loop" workflows of this pattern
---@field runs? boolean the durable runs in the store, of all processes [false]

---@class zigllms.CompositionPart
---@field id string the workflow [required]
---@field input? function|any what it works on; texts in it are templates [the previous output]
---@field output? any|fun(value: any, ctx: zigllms.StepContext): any a template or `function(value, ctx)` in place of its output
---@field condition? string|fun(ctx: zigllms.StepContext): any conditional: the first whose condition holds is run; else: skipped unless it holds
---@field when? string|fun(ctx: zigllms.StepContext): any the same as `condition`
---@field on_error? "propagate"|"ignore"|"use_default" "ignore": the others go on; "use_default": with `default` as its output ["propagate"]
---@field default? any the output of one that failed

---@class zigllms.Composition: zigllms.WorkflowSettings, zigllms.WorkflowLoop

---@class zigllms.WorkflowStepOptions: zigllms.WorkflowExecution
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine

---@class zigllms.WorkflowRecover
---@field name? string only runs of the workflow of that name

---@class zigllms.ChatOptions: zigllms.Generation, zigllms.Limits, zigllms.Reach
---@field messages? string|zigllms.Message|zigllms.Message[] with one table as the only argument: the messages
---@field provider? string|zigllms.ProviderConfig id, name or type; or a configuration, for this call only [`default_provider`]
---@field model? string the model asked [the provider's]
---@field system? string a system message put first
---@field tools? (string|table)[] ids, names, definitions or JSON Schemas; they are not executed here [none]
---@field raw? boolean keep what the provider sent in `raw`: its document, or the array of a stream's events [false]
---@field metadata? table kept as it is
---@field stream? boolean|fun(chunk: zigllms.Chunk): boolean? `function(chunk)`, called as the answer arrives; returning false stops it. true = a handle to loop over
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine
---@field detach? boolean true = a handle at once, for work that outlives its owner: it ends neither with the request or call it was started in nor with its handle, and has no stream or `on` callbacks [false]

---@class zigllms.ModelsOptions: zigllms.Limits
---@field refresh? boolean ask again instead of answering from memory [false]
---@field transport? function `function(request)` makes the HTTP request (`{method, url, headers, body, timeout_ms, stream}`) and returns `{status=, headers=, body=}`, or `nil, message`; may wait, and call `request.stream(bytes)` [built in]
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine
---@field detach? boolean true = a handle at once, for work that outlives its owner: it ends neither with the request or call it was started in nor with its handle, and has no stream or `on` callbacks [false]

---@class zigllms.EmbedOptions: zigllms.Limits
---@field provider? string|zigllms.ProviderConfig id, name or type; or a configuration, for this call only [`default_provider`]
---@field model? string the model asked [the provider's `embed_model`]
---@field dimensions? integer an integer from 1 to 1048576: length of the vectors, for models that can make them shorter [the model's]
---@field input_type? string what the vectors are for, in the provider's word: cohere, openrouter [cohere: "search_document"]
---@field batch_size? integer an integer from 1 to 1048576: fewer texts in a request [what the provider takes]
---@field extra? table merged verbatim into the request bodies
---@field cache? boolean|number a boolean or a number of at least 1: true, or milliseconds: an answer to the same question is kept for so long and given again (`cached`) [false]
---@field headers? table<string, string|number|boolean> added to the requests
---@field transport? function `function(request)` makes the HTTP request (`{method, url, headers, body, timeout_ms, stream}`) and returns `{status=, headers=, body=}`, or `nil, message`; may wait, and call `request.stream(bytes)` [built in]
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine
---@field detach? boolean true = a handle at once, for work that outlives its owner: it ends neither with the request or call it was started in nor with its handle, and has no stream or `on` callbacks [false]

---@class zigllms.CountOptions: zigllms.Limits
---@field messages? any with one table as the only argument: the messages
---@field provider? string|zigllms.ProviderConfig id, name or type; or a configuration, for this call only [`default_provider`]
---@field model? string whose tokens are counted [the provider's]
---@field system? string a system message put first
---@field tools? (string|table)[] as for `chat`: they are part of the prompt [none]
---@field headers? table<string, string|number|boolean> added to the request
---@field transport? function `function(request)` makes the HTTP request (`{method, url, headers, body, timeout_ms, stream}`) and returns `{status=, headers=, body=}`, or `nil, message`; may wait, and call `request.stream(bytes)` [built in]
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine
---@field detach? boolean true = a handle at once, for work that outlives its owner: it ends neither with the request or call it was started in nor with its handle, and has no stream or `on` callbacks [false]

---@class zigllms.EmitOptions
---@field priority? "low"|"normal"|"high"|"critical" of the event, as `min_priority` asks for ["normal"]
---@field category? "system"|"user"|"agent"|"tool"|"workflow" "user" where the name says none [by its name]
---@field type? "system"|"user"|"agent"|"tool"|"workflow" the same as `category`
---@field source? string who emits it ["user"]
---@field tags? (string)[] words about it
---@field metadata? table more about it
---@field correlation_id? string what it belongs to
---@field strict? boolean what a handler raises ends the emit, unchanged [false]

---@class zigllms.SubscribeOptions
---@field priority? "low"|"normal"|"high"|"critical" higher ones are called first ["normal"]
---@field once? boolean ends before its first call [false]
---@field filter? function|table<string, string|number|boolean> function(event), true where it is wanted; or fields and their values, as {["data.user.id"]=7}
---@field category? "system"|"user"|"agent"|"tool"|"workflow" events of that category alone
---@field min_priority? "low"|"normal"|"high"|"critical" events of that priority or a higher one

---@class zigllms.EventCriteria
---@field pattern? string of the events' names ["*"]
---@field category? "system"|"user"|"agent"|"tool"|"workflow" of the events
---@field priority? "low"|"normal"|"high"|"critical" exactly that
---@field min_priority? "low"|"normal"|"high"|"critical" that or a higher one
---@field source? string of the events
---@field since? number a number of at least -1000000000000000: Unix seconds; that moment included
---@field until_time? number a number of at least -1000000000000000: the same for the end
---@field where? table paths and the values there: `{["data.items[1].id"] = 7}`; null = nothing is there
---@field recorder? string what this one has; also one that another process keeps in the store [all of this instance]
---@field limit? integer an integer of at least 0: the first so many
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine

---@class zigllms.RecordOptions
---@field name? string stands for the id; in a store it is how others find it
---@field duration_ms? number a number of at least 1: it stops so long after it began
---@field max_events? integer an integer from 1 to 10000000: of more than so many it keeps the latest [10000]
---@field file? string path of a file that each event is put at the end of as a line of JSON as well
---@field store? boolean true: events lie in the store of `configure{store=}`, where other processes find them by name; without a store in this process [false]
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine

---@class zigllms.ReplayOptions
---@field pattern? string of the names of the events that are told ["*"]
---@field callback? fun(event: zigllms.Event) `function(event)`, called instead of emitting
---@field limit? integer an integer of at least 0: the first so many
---@field speed? number a number from 0.000001 to 1000000000: 1 = with the pauses there were, 2 = twice as fast; unless told as fast as can be
---@field timeout_ms? number a number of at least 0: the whole replay; 0 = no limit [0]
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine

---@class zigllms.EventClearOptions
---@field recorder? string what this one has [all of this instance]
---@field subscriptions? boolean subscriptions end, too [false]
---@field filters? boolean filters go, too [false]
---@field recorders? boolean recorders stop and go, with all they have [false]
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine

---@class zigllms.BridgeOptions
---@field patterns string|(string)[] names of the events that are meant, in both directions: "workflow.*", or an array of such [required]
---@field stream boolean|fun(chunk: zigllms.Chunk): boolean? name of the stream: processes that name the same one hear of each other [required]
---@field group? string its members share the events: each goes to one of them. Without a group everybody gets each
---@field direction? "both"|"in"|"out" "out" only publishes, "in" only delivers ["both"]
---@field since? string delivers what came after that position: "0" = all that the stream still has, or the `position` of an event; for a group it counts when the group is made [now]
---@field max_len? integer an integer of at least 0: the stream keeps so many events, about, and forgets older ones, delivered or not; 0 = all [100000]
---@field claim_ms? integer an integer from 50 to 86400000: a member of a group that has not been heard of for so long is dead: others get what it had not finished [30000]
---@field prefetch? integer an integer from 1 to 1000: a member of a group is given so many events at once; others get the rest. More is faster where handlers are quick [1]
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine

---@class zigllms.TestScenario
---@field name string stands in results and reports [required]
---@field description? string what it is about
---@field setup? fun(ctx: zigllms.TestContext) `function(ctx)` before the steps
---@field teardown? fun(ctx: zigllms.TestContext) `function(ctx)` after them, whatever has happened
---@field fixtures? (string)[] names of fixtures: their data are in `ctx.fixtures`
---@field mocks? (zigllms.MockDefinition)[]|table<string, zigllms.MockDefinition> definitions of create_mock, each with a name or under one: made before anything else, in `ctx.mocks`, and restored at the end
---@field tags? (string)[] run_suite chooses by them
---@field timeout_ms? number a number of at least 0: limit of all but the teardown; 0 = none
---@field stop_on_failure? boolean after a step that failed the others are skipped [true]
---@field steps (function|zigllms.TestStep)[] in order: functions or tables [required]

---@class zigllms.MockDefinition
---@field type? "function"|"object"|"service" what it stands for: a `test.MockType` [by the other fields, else "function"]
---@field name? string what messages call it
---@field returns? any what a function returns, the same each time [nil]
---@field sequence? (any)[]|table what a function returns, one after the other; the last one again and again
---@field implementation? function is called, and its results returned
---@field error? any what a function raises: any value, or the `{code=, message=, …}` of an error of the module
---@field delay_ms? number a number of at least 0: how long it waits before it answers [0]
---@field methods? table of an object, by name: what each returns, a function, or the definition of a function mock
---@field provider? string of a service: whose requests it answers; a type stands for every provider of it
---@field responses? string|function|(string|function|zigllms.ScriptedReply|zigllms.ScriptedAnswer)[]|table of a service: what it says to one chat after the other: a text, a table, or a function that gets the request as `calls()` shows it, may wait and raise, and returns one of these. One alone needs no array
---@field repeat_last? boolean false: a request after the last response raises `invalid_state` [true]
---@field transport? "http" of a service: "http" makes it a server on loopback, whose address is `mock.base_url`. Its responses may say bytes and faults, too: see `ScriptedAnswer` [none]
---@field dialect? "openai"|"responses"|"anthropic"|"cohere"|"ollama" of a server: the protocol in which it says a response of neutral words [of the provider, else "openai"]

---@class zigllms.ScriptedReply
---@field content? any what is said: a text; other data as their JSON [none]
---@field pieces? (string)[] the texts that `content` is streamed in; in place of `content`: what is said is all of them [of some letters each]
---@field tool_calls? (zigllms.ScriptedCall)[] what is to be called [none]
---@field thinking? string what is thought before it [none]
---@field usage? zigllms.ScriptedUsage tokens that are reported; those not named are estimated [estimated]
---@field finish_reason? "stop"|"length"|"tool_calls"|"content_filter"|"pause" why it ends: by default "tool_calls" where something is to be called, else "stop" [as it is]
---@field delay_ms? number a number of at least 0: time that passes before the answer begins [0]
---@field chunk_delay_ms? number a number of at least 0: time that passes between the pieces of a stream [0]
---@field error? string|zigllms.ScriptedError the error answered instead, or its code; after `content` a stream breaks off with it [none]

---@class zigllms.ScriptedCall
---@field name? string the tool's name (required)
---@field arguments? string|any a table; a string is sent as it is, also one that is no JSON [{}]
---@field id? string the id of the call [made up]

---@class zigllms.ScriptedUsage
---@field prompt_tokens? integer an integer of at least 0: of the request, the cached ones included
---@field input_tokens? integer the same as `prompt_tokens`
---@field completion_tokens? integer an integer of at least 0: of the answer
---@field output_tokens? integer the same as `completion_tokens`
---@field total_tokens? integer an integer of at least 0: of both: tells the one that is not named
---@field cached_tokens? integer an integer of at least 0: of the request, read from a cache
---@field cache_write_tokens? integer an integer of at least 0: of the request, put into a cache
---@field reasoning_tokens? integer an integer of at least 0: of the answer, thought

---@class zigllms.ScriptedError
---@field code? string auth, permission, not_found, bad_request, context_length, content_filter, rate_limited, quota, overloaded, server_error, network (the connection breaks) or timeout (nothing comes); with a `status` also a word of the vendor's own [by status]
---@field status? integer an integer from 400 to 599: the HTTP status [by code]
---@field message? string the vendor's words [by code]
---@field retry_after_ms? number a number of at least 0: how long the server asks to wait [none]

---@class zigllms.ScriptedAnswer
---@field status? integer an integer from 200 to 999: of HTTP [200]
---@field headers? table<string, string|number|(string)[]> a table (a string or a number of at least -1000000000000000 or an array (a string each) each): as they are sent; the length, the chunks and a type are added where they are missing. A `Content-Length` is sent also where it is wrong
---@field body? string|any any bytes; a table is sent as JSON [""]
---@field chunks? (string)[] the body in the pieces in which it is sent, each a chunk of its own; any bytes
---@field delay_ms? number a number of at least 0: time that passes before the head [0]
---@field chunk_delay_ms? number a number of at least 0: time that passes between the pieces [0]
---@field stall_ms? number a number of at least 0: silence before the end, or where `close_after` cuts [0]
---@field reset? boolean a TCP reset in place of the end; where there is neither status, nor headers, nor body: of an answer [false]
---@field close_after? integer an integer of at least 0: the connection ends behind so many bytes of the body [never]

---@class zigllms.TestStep
---@field name? string stands in results and reports ["step N"]
---@field run? fun(ctx: zigllms.TestContext): any `function(ctx)`, which may wait; what it returns is the step's output
---@field agent? string runs it with `input`, instead of `run`
---@field tool? string executes it with `input`
---@field workflow? string executes it with `input`; its `output` is the step's, or the whole result of one that paused
---@field provider? string asks its model: `input` is a text or messages
---@field input? any of the action, or `function(ctx)` that returns it
---@field expect? any what the output must be: a value, `{type=, value=}` with a type of AssertType, or an array in which such tables stand. A text is compared with the content of a response
---@field expected_output? any as `expect` of a value
---@field should_fail? boolean the step must raise, and what is expected is expected of the error [false]
---@field timeout_ms? number a number of at least 0: limit of the step; 0 = none

---@class zigllms.TestRunOptions
---@field timeout_ms? number a number of at least 0: limit of this run; 0 = none [the scenario's]
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine

---@class zigllms.TestFixture
---@field name string by which scenarios ask for it [required]
---@field data? any copied for each use
---@field setup? function `function()` that returns the data, instead of `data`
---@field teardown? function `function(data)` at the end of its scope
---@field scope? "scenario"|"suite"|"global" set up for each scenario, once for a suite, or once until it is replaced or `reset()` [scenario]

---@class zigllms.TestSuite
---@field name? string stands in results and reports ["suite"]
---@field scenarios? (string|function|zigllms.TestScenario)[] ids or names of scenarios, or definitions [all, if there are no tests]
---@field tests? (zigllms.Test)[]|table<string, function|zigllms.Test> `{name=, fn=}` in order, or functions by name, which run in the order of their names
---@field before_all? fun(suite: table) `function(suite)` before the first
---@field after_all? fun(suite: table) `function(suite)` after the last, whatever has happened
---@field before_each? fun(ctx: zigllms.TestContext) `function(ctx)` before each `setup`
---@field after_each? fun(ctx: zigllms.TestContext) `function(ctx)` after each `teardown`, whatever has happened
---@field filter? string only those with this plain text in their names
---@field tags? string|(string)[] only those with one of these tags
---@field bail? boolean after one that failed the others are skipped [false]
---@field coverage? boolean `coverage` of the result is what get_coverage reports, of this run alone [false]
---@field timeout_ms? number a number of at least 0: limit of all but what comes after; 0 = none
---@field reporter? "text"|"tap"|"json"|"junit" how `report` of the result is written [text]
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine

---@class zigllms.Test
---@field name? string stands in results and reports [required in arrays]
---@field fn fun(ctx: zigllms.TestContext) `function(ctx)`, the test [required]
---@field tags? (string)[] as those of a scenario
---@field timeout_ms? number a number of at least 0: limit of the test; 0 = none

---@class zigllms.CoverageOptions
---@field reset? boolean counts anew once the report is made [false]
---@field lines? boolean true: has lines of Lua counted from now on, by a debug hook, and reports those so far; false: reports them for the last time and takes the hook away

---@class zigllms.CassetteOptions
---@field mode? "auto"|"record"|"replay" "record" makes the file anew, "replay" asks nobody, "auto" replays if there is the file ["auto"]
---@field tools? boolean results of tools are recorded, too: a replay does not call their functions. Not of agents as tools, nor where the request of the tool is itself recorded [true]

---@class zigllms.ValidateOptions: zigllms.CompileOptions
---@field max_errors? integer an integer of at least 1: most errors reported [all]

---@class zigllms.CompileOptions
---@field draft? string|integer a string or an integer from 4 to 7: "4", "6", "7", "2019-09" or "2020-12" [what `$schema` says, else "2020-12"]
---@field formats? boolean check `format`; false: it is only a remark [true]
---@field documents? table what a `$ref` to another document finds, by URI; nothing is ever fetched

---@class zigllms.GenerateOptions
---@field required? boolean members that every example has are required [true]
---@field formats? boolean name the format that all texts of a place have [false]
---@field examples? (any)[] further examples; a member that one of them lacks is optional

---@class zigllms.ExtractOptions: zigllms.CompileOptions
---@field partial? boolean what is missing may be missing, and what does not fit is left out [false]

---@class zigllms.MergeOptions
---@field strategy? "deep"|"all_of"|"override" "deep": keyword by keyword; "all_of": side by side; "override": later keywords replace earlier ones ["deep"]

---@class zigllms.CreateOptions
---@field name? string by which it is found, unique [the definition's `name`]
---@field draft? string|integer a string or an integer from 4 to 7: "4", "6", "7", "2019-09" or "2020-12" [what `$schema` says, else "2020-12"]
---@field replace? boolean overwrite a schema of that name [false]

---@class zigllms.StoreOptions: zigllms.MemoryOwner, zigllms.MemoryEntry
---@field scope? "global"|"agent"|"session" who shares the entry ["global"]
---@field if_absent? boolean only if the key is not there [false]
---@field durability? "batched"|"sync" persistent entries: "sync" returns when the store has it for good [`configure{durability=}`]
---@field embedding? (number)[] what `search` finds it by
---@field embed? boolean|string asks the provider that `configure{memory=}` names for it: true for that of the value, a text for that of the text [false]

---@class zigllms.MemoryOwner
---@field agent? string owner of scope "agent"; entries of an agent go by its name [the agent whose run this is called in]
---@field session? string owner of scope "session" [`configure{session=}`]
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine
---@field detach? boolean true = a handle at once, for work that outlives its owner: it ends neither with the request or call it was started in nor with its handle, and has no stream or `on` callbacks [false]

---@class zigllms.MemoryEntry
---@field type? "short_term"|"long_term"|"persistent" "short_term": the longest unused go when there are too many; "long_term": stays; "persistent": in the store ["short_term"]
---@field ttl_ms? number a number of at least 0: life in milliseconds
---@field ttl? number a number of at least 0: life in seconds
---@field tags? (string)[] words to find it by
---@field metadata? any plain data, kept with it

---@class zigllms.RetrieveOptions: zigllms.MemoryOwner
---@field scope? "global"|"agent"|"session" who shares the entry ["global"]
---@field default? any returned where there is no entry [nil]

---@class zigllms.MemoryScope: zigllms.MemoryOwner
---@field scope? "global"|"agent"|"session" who shares the entry ["global"]

---@class zigllms.ListKeysOptions: zigllms.MemoryOwner
---@field scope? "global"|"agent"|"session"|"all" who shares the entries ["global"]
---@field type? "short_term"|"long_term"|"persistent" entries of this type
---@field tag? string entries with this tag
---@field limit? integer an integer of at least 1: the first so many
---@field detail? boolean tables instead of keys [false]

---@class zigllms.ClearOptions: zigllms.MemoryOwner
---@field scope? "global"|"agent"|"session"|"all" who shares the entries ["global"]
---@field type? "short_term"|"long_term"|"persistent" entries of this type
---@field pattern? string keys that match

---@class zigllms.PersistOptions: zigllms.MemoryExtent

---@class zigllms.MemoryExtent
---@field types? ("short_term"|"long_term"|"persistent"|"conversation")[] entries of these types only; "conversation": conversations of agents [all]
---@field scope? "global"|"agent"|"session"|"all" entries of this scope only; conversations are of "agent" ["all"]
---@field async? boolean|"yield" true = a handle at once; false = block also in a coroutine; "yield" = suspend this coroutine
---@field detach? boolean true = a handle at once, for work that outlives its owner: it ends neither with the request or call it was started in nor with its handle, and has no stream or `on` callbacks [false]

---@class zigllms.LoadOptions: zigllms.MemoryExtent
---@field replace? boolean true: what is there and is not loaded goes; else what is loaded goes over it [false]

---@class zigllms.ChangeOptions: zigllms.MemoryOwner, zigllms.MemoryEntry
---@field scope? "global"|"agent"|"session" who shares the entry ["global"]

---@class zigllms.SearchOptions: zigllms.MemoryOwner
---@field scope? "global"|"agent"|"session"|"all" who shares the entries ["global"]
---@field type? "short_term"|"long_term"|"persistent" entries of this type
---@field tag? string entries with this tag
---@field limit? integer an integer of at least 1: the best so many [10]
---@field min_score? number a number from -1 to 1: entries at least as similar

---@class zigllms.HookOptions
---@field name? string in a table that is the only argument: where the hook attaches; else what the hook itself is called
---@field callback? fun(context: zigllms.HookContext, next?: fun(data?: any): any): any, string? the function, in a table that is the only argument
---@field type? "pre"|"post"|"around"|"error" when it runs: before, after or around an operation, or when it failed [by the name]
---@field priority? number|"highest"|"high"|"normal"|"low"|"lowest" higher runs first: a `hook.Priority` or any number ["normal"]
---@field description? string shown in infos
---@field enabled? boolean whether it runs [true]
---@field once? boolean it is unregistered by its first call [false]
---@field agent? string only for that agent, with its tools and requests
---@field tool? string only for that tool; by name also for its successors
---@field workflow? string only for that workflow
---@field timeout_ms? number a number of at least 0: limit of one call; around an operation also of what it runs; 0 = none [none]
---@field metadata? table plain data, shown in infos and given to the function

---@class zigllms.ComposeOptions
---@field mode? "sequential"|"parallel"|"first" each gets what the one before it left; "parallel": all get the same, the results are an array; "first": until one returns a value ["sequential"]
---@field name? string where it attaches; without one only hook.execute(id) runs it
---@field type? "pre"|"post"|"around"|"error" when it runs [theirs, if they agree, else "post"]
---@field priority? number|"highest"|"high"|"normal"|"low"|"lowest" higher runs first ["normal"]

---@class zigllms.ReadOptions: zigllms.ReaderOptions
---@field schema? zigllms.Schema what the value has to look like; the text is read as it asks
---@field fields? (string)[]|table only these values: paths as `choices[1].message.content`, or a table of paths by the names they are to have
---@field all? boolean every document of the text, as an array [false]

---@class zigllms.ReaderOptions
---@field format? "auto"|"json"|"yaml"|"xml"|"markdown"|"plain" what the text is [auto; json where a schema or fields are asked for]
---@field recovery? "strict"|"lenient"|"best_effort" how much may be wrong with it [lenient]
---@field missing? "null"|"empty" what stands for a value that was never written: null, or the empty string [null]
---@field prose? "error"|"string" what a text without a document is [string with best_effort, else error]
---@field max_depth? integer an integer from 1 to 1000: deepest nesting [100]
---@field max_bytes? integer an integer of at least 1: longest text

---@class zigllms.WriteOptions
---@field pretty? boolean JSON: on many lines [false]
---@field indent? integer an integer from 0 to 16: JSON: spaces for each level [2 with pretty]
---@field sort_keys? boolean JSON: members in the order of their names [false]
---@field root? string XML: name of the outermost element [root]

---@class zigllms.MarkdownOptions
---@field only? "sections"|"code_blocks"|"tables"|"lists"|"links"|"front_matter"|"text"|("sections"|"code_blocks"|"tables"|"lists"|"links"|"front_matter"|"text")[] the parts to give [all]
---@field language? string give only code blocks of this language

---@class zigllms.ToolCallOptions
---@field tools? (string|table)[] names or definitions of the tools that may be called [any]

---An answer of a model, or of an agent's run. `tostring(response)`, `print(response)` and `..` use its content.
---@class zigllms.Response
---@field content string the text; empty if there is none
---@field role "assistant"
---@field finish_reason string stop, length, tool_calls, content_filter, max_iterations, budget_exceeded, approval_required, cancelled, pause or unknown
---@field native_finish_reason? string the provider's own word for it
---@field usage zigllms.Usage of all requests of the call
---@field tool_calls zigllms.ToolCall[] `provider`: what the model asks for; `agent.run`: what was executed
---@field model? string as the provider names it
---@field provider string id of the provider that answered
---@field id? string the provider's id of the answer
---@field created number Unix seconds
---@field attempts integer requests made, failed ones included
---@field request_id? string for the provider's support
---@field ttft_ms? number time to the first content
---@field thinking? string of models that show it
---@field parsed any structured output: the value, checked against its schema
---@field structured? string structured output, who saw to it: strict (the server, to the schema), json (the server, to JSON) or prompted (the model was asked to)
---@field cost? number by the `prices` of the provider, in their currency
---@field raw? table the provider's own document, with `raw=true`
---@field message? zigllms.Message `provider`: to be appended to the messages as it is
---@field latency_ms? number `provider`: time of the call
---@field cached? true `provider`: kept from an earlier call, with its usage; nobody was asked
---@field duration_ms? number `agent.run`: time of the run
---@field iterations? integer `agent.run`: rounds of model and tools
---@field messages? zigllms.Message[] `agent.run`: the new messages of this turn
---@field pending_tool_calls? zigllms.ToolCall[] `agent.run`: calls that wait for `agent.resume`, or of tools that have no `execute`, for the next run
---@field unseen_messages? zigllms.Message[] `agent.run`: what `agent.send` said and no model has seen
---@field agent_id? string `agent.run`
---@field metadata? table `agent.run`: as it was given

---A piece of an answer on its way. What came since the last delivery is one chunk.
---@class zigllms.Chunk
---@field content string new text; may be empty
---@field delta string the same as `content`
---@field index integer 1, 2, 3, …
---@field done boolean true on the last chunk only
---@field thinking? string new text of the model's thinking
---@field tool_calls? zigllms.ToolCallDelta[] fragments of tool calls
---@field tool_result? zigllms.ToolCall agent runs: a tool has answered
---@field iteration? integer agent runs: the round it belongs to
---@field finish_reason? string on the last chunk
---@field usage? zigllms.Usage on the last chunk

---Tokens of one or more requests.
---@class zigllms.Usage
---@field prompt_tokens integer cached ones included
---@field completion_tokens integer
---@field total_tokens integer
---@field cached_tokens? integer read from the provider's prompt cache
---@field cache_write_tokens? integer written to it
---@field reasoning_tokens? integer spent on thinking
---@field estimated? true counted here (bytes / 4): the provider did not tell
---@field cost? number as far as there are prices

---Vectors of texts.
---@class zigllms.Embeddings
---@field embeddings number[][] one for each text, in their order
---@field dimensions integer numbers in each of them
---@field model string as the provider names it
---@field provider string id of the provider that answered
---@field usage zigllms.Usage of all requests of the call
---@field cost? number by the `prices` of the provider
---@field cached? true kept from an earlier call, with its usage; nobody was asked

---A model's wish to have a tool called and, in agent runs, what came of it.
---@class zigllms.ToolCall
---@field id string names the call in the conversation
---@field name string of the tool
---@field arguments? table absent if the model wrote no valid JSON
---@field arguments_json string exactly as the model wrote them
---@field type? "function" `provider`
---@field ["function"]? table `provider`: `{name, arguments}` as on the wire
---@field result any agent runs: what the tool returned
---@field error? string agent runs: why it failed; pending calls: why nobody could tell whether it needs approval
---@field duration_ms? number agent runs
---@field reason? "approval"|"client" pending calls: somebody has to agree, or the tool has no `execute`

---A fragment of a tool call in a chunk.
---@class zigllms.ToolCallDelta
---@field index integer which call of the answer, from 1
---@field id? string with the first fragment
---@field name? string with the first fragment
---@field arguments string the next piece of the JSON text

---One message of a conversation.
---@class zigllms.Message
---@field role "system"|"user"|"assistant"|"tool"
---@field content string|table[] text, or parts such as `{type="text", text=}` and `{type="image_url", image_url={url=}}`
---@field name? string of the speaker
---@field tool_call_id? string messages of role tool: the call they answer
---@field tool_calls? zigllms.ToolCall[] messages of role assistant
---@field blocks any the provider's own blocks, to be sent back untouched

---Second argument of a tool's function.
---@class zigllms.ToolContext
---@field tool_id string
---@field name string
---@field cancelled fun(): boolean whether the call around it was cancelled or has run out of time
---@field agent_id? string inside an agent's run
---@field call_id? string inside an agent's run
---@field workflow_id? string as a step of a workflow
---@field execution_id? string as a step of a workflow
---@field step_id? string as a step of a workflow
---@field idempotency_key? string as a step of a workflow: the same in every attempt at that step

---How a text was read.
---@class zigllms.ReadInfo
---@field format string what it was read as
---@field recovered boolean whether anything was repaired
---@field fixes string[] names of the repairs made
---@field warnings string[] what may have been meant differently
---@field start integer where in the text the document begins, as in `string.sub`
---@field stop integer where it ends

---A document that is read while it arrives: what `output.stream` returns.
---@class zigllms.Stream
---@field push fun(self: zigllms.Stream, chunk: string): any, boolean takes the next piece of the text; gives the value so far, and whether the document is complete
---@field finish fun(self: zigllms.Stream): any, zigllms.ReadInfo the value and how it was read; raises what `output.parse` raises; nothing can be pushed any more

---What a text may be.
---@class zigllms.FormatInfo
---@field confidence number from 0 to 1
---@field candidates table[] `{format, confidence}`, the likeliest first
---@field fenced boolean whether it has a code fence
---@field language? string that the first fence names
---@field inner? string format of what is in the first fence

---Whether a text is valid.
---@class zigllms.FormatResult
---@field valid boolean
---@field format string
---@field errors table[] `{message, line, column, offset}`

---What a Markdown text holds.
---@class zigllms.MarkdownParts
---@field sections? table[] `{level, heading, content}`
---@field code_blocks? table[] `{language?, content, line}`
---@field tables? table[] `{headers, rows}`
---@field lists? table[] `{ordered, start?, level, items}`; nested ones with the `list` and `item` they are in
---@field links? table[] `{text, url, title?}`
---@field front_matter? table the YAML mapping it begins with
---@field text? string all there is to read, without markup

---Whether a value fits a schema. It is a table, so test `.valid`.
---@class zigllms.ValidationResult
---@field valid boolean
---@field errors table[] `{path, message, keyword, schema_path, expected?, actual?}`; paths are JSON pointers, "" is the value itself
---@field error_count integer of `errors`

---A schema that is ready to be used: what `schema.compile` returns. It is taken wherever a schema is.
---@class zigllms.CompiledSchema
---@field schema table the JSON Schema it was made from
---@field validate fun(self: zigllms.CompiledSchema, data: any): zigllms.ValidationResult as `schema.validate`
---@field check fun(self: zigllms.CompiledSchema, data: any): boolean, string? as `schema.check`; the cheapest way to ask
---@field coerce fun(self: zigllms.CompiledSchema, data: any): any, string[] as `schema.coerce`
---@field extract fun(self: zigllms.CompiledSchema, data: any): any as `schema.extract`

---How often results that were kept have helped.
---@class zigllms.CacheStats
---@field enabled boolean
---@field entries integer results that are kept
---@field bytes integer that they and their questions take, about
---@field hits integer
---@field misses integer of calls whose results could have been kept
---@field evictions integer results that made room for others
---@field expired integer whose time was over when they were asked for
---@field invalidated integer that were not true any more
---@field by_function table<string, table> `{hits, misses}`

---What a handler of events gets.
---@class zigllms.Event
---@field id string `evt_N`
---@field type string its full name
---@field name string the same
---@field category "system"|"user"|"agent"|"tool"|"workflow"
---@field priority "low"|"normal"|"high"|"critical"
---@field data any what was emitted, as it is; that of the module's own events prints as JSON
---@field source string who emitted it: "user", or the bridge
---@field timestamp number Unix seconds
---@field correlation_id? string the same for all events of the module inside one operation
---@field tags? string[]
---@field metadata? table
---@field replayed? boolean whether it was recorded and comes again
---@field unrecorded? string[] replayed ones: paths of what could not be kept
---@field remote? boolean whether a bridge brought it
---@field origin? string remote ones: who published it
---@field position? string remote ones: where in the stream it stands, for `since`

---One of `event.list_subscriptions`.
---@class zigllms.Subscription
---@field id string
---@field pattern string
---@field event_type string the same
---@field priority "low"|"normal"|"high"|"critical"
---@field once boolean
---@field has_filter boolean
---@field call_count integer
---@field error_count integer of its handler and its filter
---@field created_at number Unix seconds

---What a hook gets: a table of its own for each call.
---@class zigllms.HookContext
---@field hook? string the name it is registered for
---@field hook_id string
---@field type zigllms.hook.Type
---@field point string where it runs now
---@field data any the working value: the input; of POST hooks the result
---@field input any what the operation was given
---@field result any POST hooks, and others once the operation has ended
---@field output any the same
---@field error? zigllms.Error ERROR hooks: why it failed
---@field index integer which of the hooks at this point it is
---@field total integer how many these are
---@field timestamp number Unix seconds
---@field elapsed_ms number since the operation began
---@field metadata? table of the hook
---@field agent_id? string whose run it is, or is part of
---@field agent_name? string
---@field session? string of an agent's run
---@field first_run? true no run of the agent has begun before
---@field tool_id? string
---@field tool_name? string
---@field call_id? string of a tool that a model calls
---@field provider? string of a request
---@field model? string of a request
---@field operation? string of a request: chat, embed, …
---@field key? string of an entry of memory
---@field scope? string
---@field owner? string

---One of `hook.list`, and what `hook.get_info` returns, which has all of it.
---@class zigllms.Hook
---@field id string
---@field name? string the point, operation, name of your own or glob it is registered for
---@field label? string what the hook itself is called
---@field type zigllms.hook.Type
---@field priority number
---@field enabled boolean
---@field call_count integer
---@field error_count? integer
---@field avg_time_ms? number with what it waited for, or ran
---@field last_called_at? number Unix seconds
---@field last_error? string
---@field once? boolean
---@field timeout_ms? number
---@field description? string
---@field metadata? table
---@field created_at? number Unix seconds
---@field agent? string the one it is for
---@field tool? string
---@field workflow? string

---What `hook.execute` returns.
---@class zigllms.HookResult
---@field hook string the name or id that was asked for
---@field hooks_executed integer
---@field executed integer the same
---@field data any what the last hook left
---@field aborted boolean whether a PRE hook said no
---@field results table[] `{hook_id, ok, value?, error?, duration_ms}` of each that was called

---What `test.create_mock` makes. Methods of an object mock are fields of it, mocks each.
---@class zigllms.Mock
---@field id string
---@field name? string
---@field type zigllms.test.MockType
---@field base_url? string of a server: "http://127.0.0.1:PORT"
---@field calls fun(self: zigllms.Mock): zigllms.MockCall[] in the order in which they began
---@field call_count fun(self: zigllms.Mock): integer
---@field last_call fun(self: zigllms.Mock): zigllms.MockCall?
---@field called_with fun(self: zigllms.Mock, ...: any): boolean whether one had arguments equal to these
---@field reset fun(self: zigllms.Mock) forgets the calls; a sequence begins anew
---@field restore fun(self: zigllms.Mock): boolean ends it; false if it has ended before

---One call of a function mock. Plain tables in it are copies, as they were by then.
---@class zigllms.MockCall
---@field args table an array, with `n`
---@field ok? boolean absent while it is under way
---@field result any the first one
---@field results? table an array, with `n`
---@field error any what it raised
---@field method? string of an object: its name

---What `test.run_scenario` returns: how a scenario has ended.
---@class zigllms.TestResult
---@field id? string a test of a suite and a definition in one have none
---@field name string
---@field status "passed"|"failed"|"skipped"|"error"
---@field success boolean whether it is passed or skipped
---@field total integer steps
---@field passed integer
---@field failed integer with those of status "error"
---@field skipped integer
---@field duration_ms number with all that is before and after the steps
---@field error? zigllms.Error the first
---@field reason? string why it was skipped
---@field steps zigllms.TestStepResult[]

---How a step of a scenario has ended.
---@class zigllms.TestStepResult
---@field name string
---@field status "passed"|"failed"|"skipped"|"error"
---@field success boolean whether it is passed or skipped
---@field error? zigllms.Error `assertion_failed`, `timeout` of a limit, or what was raised
---@field reason? string why it was skipped
---@field actual_output any what it returned, or its action came to
---@field assertions table[] `{type, expected, success, message?, path?}` of what was expected of it
---@field duration_ms number

---What `test.run_suite` returns.
---@class zigllms.TestSuiteResult
---@field name string
---@field success boolean whether none has failed
---@field total integer scenarios and tests
---@field passed integer
---@field failed integer with those of status "error"
---@field skipped integer
---@field duration_ms number
---@field error? zigllms.Error the first
---@field results zigllms.TestResult[] in order
---@field coverage? table with `coverage=true`: the report of `test.get_coverage`, of this run alone
---@field report string as the reporter writes it

---What functions of a scenario get, the same table all of them.
---@class zigllms.TestContext
---@field scenario table `{id?, name?, description?, tags}`
---@field suite? table what `before_all` got, while a suite runs
---@field fixtures table<string, any> the data of those it asks for
---@field mocks table<string, zigllms.Mock> those it defines
---@field results table results of steps that have ended, in order and by name

---What `workflow.execute` returns: how an execution has ended, or where it is paused.
---@class zigllms.WorkflowResult
---@field workflow_id string
---@field execution_id string of a durable execution: the id of its run
---@field name string of the workflow
---@field status "completed"|"paused"|"failed" "failed" with `on_error="return"` only
---@field output any of the last executed step; parallel: by step; loop: an array, of each iteration
---@field steps table<string, zigllms.StepResult> by their ids, the last end of each
---@field step_order string[] ids of the steps in the order in which they ended first
---@field usage zigllms.Usage of all that models were asked
---@field cost? number as far as there are prices
---@field iterations? integer of a loop
---@field break_reason? string of a loop: "condition_false", "max_iterations_reached", "iteration_error", "timeout", "explicit_break" or "completed_naturally"
---@field executed_branch? string conditional: "if_true", "if_false" or the id of the step
---@field pending? table paused before calls of agents that need a decision: `{step_id, agent_id, session?, execution_id, calls}`, and in its array the same of each agent
---@field error? zigllms.Error failed: why
---@field metadata? table as `execute` was given it
---@field started_at number Unix seconds
---@field finished_at? number Unix seconds; once it has ended
---@field duration_ms number without the time it was paused
---@field run_id? string durable
---@field recovered_steps? integer durable: steps that an earlier execution of the run has ended

---How a step has ended: in `result.steps`, and what `on_step` is called with.
---@class zigllms.StepResult
---@field id? string `on_step` and `workflow.step`
---@field status "completed"|"failed"|"skipped"|"cancelled"
---@field output any what it gave, or the `default` of one that failed
---@field response? zigllms.Response of an `agent_call`: all of it
---@field error? zigllms.Error failed: why
---@field attempts integer 0: it never began
---@field started_at? number Unix seconds
---@field duration_ms? number with all attempts and the waits between them
---@field execution_id? string `workflow.step`
---@field execution_status? zigllms.workflow.Status `workflow.step`
---@field result? zigllms.WorkflowResult `workflow.step`: what `execute` would have returned

---What functions of a step get: `fn`, `input`, conditions.
---@class zigllms.StepContext
---@field input any what this step works on
---@field workflow table `{id, name, execution_id, input}`
---@field previous table `{id?, output}` of the step before; without an id it is the workflow's input
---@field steps table<string, zigllms.StepResult> those that have ended, by their ids
---@field variables table shared by all steps, and may be written
---@field loop? table inside a loop or a map: `{index, first, last?, item?}`
---@field step_id string
---@field attempt? integer from 1; nil where the step has yet to begin: in conditions, and as `input`
---@field idempotency_key? string the same in every attempt at this step, and at no other
---@field cancelled fun(): boolean whether the execution was cancelled or has run out of time
---@field break_loop fun()|nil inside a loop: this iteration is the last

---How an execution stands: what `workflow.get_status` returns beside the status.
---@class zigllms.ExecutionInfo
---@field id? string of the workflow; nil where this process has none of that name
---@field execution_id? string nil: the workflow was never executed
---@field name string of the workflow
---@field status zigllms.workflow.Status
---@field pattern? zigllms.workflow.Pattern
---@field steps_count? integer steps of the workflow itself, without those inside of others
---@field completed_steps? integer steps that were completed, with those inside of others
---@field current_step? string id of the one that began last, while it runs
---@field progress? number from 0 to 1: how many of the workflow's own steps have ended
---@field started_at? number Unix seconds
---@field finished_at? number Unix seconds
---@field duration_ms? number without the time it was paused
---@field error? zigllms.Error failed or cancelled: why
---@field steps table<string, zigllms.StepResult> those that have ended, by their ids
---@field version? string of a run in the store
---@field owned? boolean of a run in the store: whether a process that lives has it
---@field owner? table of a run in the store: `{host, pid}` of the process that had it last

---What a failing call raises. `tostring(err)` is one line; `err:is(code)` compares the code.
---@class zigllms.Error
---@field code zigllms.ErrorCode one word to match on
---@field message string which argument or option, what was expected, what came
---@field retryable boolean whether the same call may succeed later
---@field bridge? string "agent", "tool", …
---@field func? string the function that failed
---@field where? string `script.lua:12`, the line that called it
---@field cause any the very value that user code raised
---@field partial any what had arrived, in the shape of the result
---@field details? table machine-readable extras
---@field phase "connect"|"first_token"|"idle"|"total"|"tool"|nil timeouts: which limit
---@field status? integer HTTP status
---@field provider? string id of the provider
---@field request_id? string for the provider's support
---@field attempts? integer requests made
---@field retry_after_ms? integer how long the provider asks to wait
---@field is fun(self: zigllms.Error, code: string): boolean whether it has that code

---A call that goes on by itself: what a waiting function returns with `async=true`, and what `spawn` returns. Calling it gives the next chunk of its stream.
---@class zigllms.Handle
---@overload fun(): zigllms.Chunk?
---@field id string its name; `tostring(handle)` is the same. Of a workflow's execution it is the execution's id, and the handle stands for the execution wherever one is named
local Handle = {}

---waits; returns what the plain call returns, or raises its error; any number of times
---@return any ...
function Handle:await() end

---waits at most so long, and says whether it has ended; never raises the work's error
---@param timeout_ms? number
---@return boolean
function Handle:wait(timeout_ms) end

---whether it has ended; never waits
---@return boolean
function Handle:done() end

---the result, or nil, the status and the error; never waits
---@return any ...
function Handle:result() end

---how it stands; never waits
---@return "pending"|"running"|"paused"|"completed"|"failed"|"cancelled"
function Handle:status() end

---ends the work and closes its connection; true if it was unfinished; awaiting it then raises `cancelled`
---@param reason? string
---@return boolean
function Handle:cancel(reason) end

---calls `fn(err, result)` once it has ended: from the host's loop where there is one, else inside a wait or `poll`; returns the handle
---@param fn fun(err: any, ...: any)
---@return zigllms.Handle
function Handle:on(fn) end

---the iterator of its chunks, `for chunk in handle:iter() do`; the handle itself is one, too. Of a workflow's execution: of its `workflow.*` events, the last 10,000
---@return fun(): table?
function Handle:iter() end

---for `cqueues.poll(handle)`: the descriptor that is readable when there is something to deliver
---@return integer
function Handle:pollfd() end

---for cqueues: "r"
---@return string
function Handle:events() end

---for cqueues: seconds until polling must end
---@return number?
function Handle:timeout() end

---for LuaSocket, `socket.select({ handle })`: as `pollfd`
---@return integer
function Handle:getfd() end

---for LuaSocket: whether it has ended
---@return boolean
function Handle:dirty() end

---A JSON Schema: a table, JSON text, or the id or name of a created one.
---@alias zigllms.Schema table|string|boolean|zigllms.CompiledSchema

---@alias zigllms.ErrorCode
---| "invalid_argument"
---| "not_found"
---| "already_exists"
---| "invalid_state"
---| "validation_failed"
---| "parse_failed"
---| "conversion_error"
---| "template_error"
---| "unsupported"
---| "timeout"
---| "cancelled"
---| "aborted_by_hook"
---| "budget_exceeded"
---| "max_iterations"
---| "version_mismatch"
---| "auth"
---| "rate_limited"
---| "overloaded"
---| "context_length"
---| "content_filter"
---| "bad_request"
---| "server_error"
---| "network"
---| "bad_response"
---| "tool_error"
---| "hook_error"
---| "callback_error"
---| "io_error"
---| "assertion_failed"
---| "internal"

zigllms.ErrorCode = {
  INVALID_ARGUMENT = "invalid_argument",
  NOT_FOUND = "not_found",
  ALREADY_EXISTS = "already_exists",
  INVALID_STATE = "invalid_state",
  VALIDATION_FAILED = "validation_failed",
  PARSE_FAILED = "parse_failed",
  CONVERSION_ERROR = "conversion_error",
  TEMPLATE_ERROR = "template_error",
  UNSUPPORTED = "unsupported",
  TIMEOUT = "timeout",
  CANCELLED = "cancelled",
  ABORTED_BY_HOOK = "aborted_by_hook",
  BUDGET_EXCEEDED = "budget_exceeded",
  MAX_ITERATIONS = "max_iterations",
  VERSION_MISMATCH = "version_mismatch",
  AUTH = "auth",
  RATE_LIMITED = "rate_limited",
  OVERLOADED = "overloaded",
  CONTEXT_LENGTH = "context_length",
  CONTENT_FILTER = "content_filter",
  BAD_REQUEST = "bad_request",
  SERVER_ERROR = "server_error",
  NETWORK = "network",
  BAD_RESPONSE = "bad_response",
  TOOL_ERROR = "tool_error",
  HOOK_ERROR = "hook_error",
  CALLBACK_ERROR = "callback_error",
  IO_ERROR = "io_error",
  ASSERTION_FAILED = "assertion_failed",
  INTERNAL = "internal",
}

---An overview; with a topic such as "agent" or "agent.run", that bridge or function: signature, options, errors. An option, a table of constants, a hook point and an event are topics as well.
---
---Errors: invalid_argument, not_found
---@param topic? string a string
---@return string text
function zigllms.help(topic) end

---The names of the bridges.
---@return string[] names
function zigllms.modules() end

---`{version, library, lua_version, build_time, platform, features}`; `build_time` in Unix seconds.
---@return table info
function zigllms.info() end

---Merges global options, tables deeply; `zigllms.null` restores a default. A bad value changes nothing.
---
---Errors: invalid_argument, unsupported, io_error
---@param options zigllms.Config a table
---@return true ok
function zigllms.configure(options) end

---A copy of the global options, without secrets.
---@return table options
function zigllms.config() end

---Writes what is queued for the store and for files of recorders, and returns how many writes that were once they and all before them survive a crash of the machine. What cannot be written stays queued and is tried again. Waits.
---
---Errors: invalid_argument, io_error, unsupported, cancelled
---@param options? zigllms.FlushOptions a table
---@return integer count
---@overload fun(, options: { async: true }): zigllms.Handle
function zigllms.flush(options) end

---Exact counts of calls and errors, `total_calls`, `error_count`, and per bridge and function in `bridges`; tokens in `usage` (also `by_provider`), `retries`, `cancelled`; what `batch`, `cache` and `stack` did. Times (`avg_ms`, `min_ms`, `max_ms`, `p50_ms`, `p95_ms`, `total_time_ms`) and the latest 1000 calls in `profile.samples` are those of the calls that were measured: none unless `configure{profiling=true}`, or a share of them with `{sample_rate=0.1}`.
---@param options? zigllms.MetricsOptions a table
---@return table metrics
function zigllms.metrics(options) end

---The counters of `metrics` in the text format of Prometheus: `zigllms_calls_total{bridge,func}`, `zigllms_errors_total{bridge,code}`, and so on; of requests to models the histograms `gen_ai_client_operation_duration_seconds`, `gen_ai_client_token_usage` and `gen_ai_client_operation_time_to_first_chunk_seconds`. Beyond 64 models, further ones are called "other".
---@return string text
function zigllms.metrics_text() end

---Drops every registration of this instance, cancels unfinished work, clears counters and what lies in this process of the memory scopes AGENT and SESSION. For tests.
---@return true ok
function zigllms.reset() end

---An independent module table, as a second Lua state would get it: own configuration, ids and registrations.
---
---Errors: invalid_argument, unsupported
---@param config? zigllms.Config a table
---@return zigllms module
function zigllms.new(config) end

---Calls fn with the other arguments; its results, or nil and what it raised.
---@param fn function a function
---@param ... any handed on
---@return any ...
function zigllms.try(fn, ...) end

---Makes an error object, to be raised by tools and other callbacks; `fields` may set `details`, `cause`, `retryable` and so on.
---@param code zigllms.ErrorCode|string a non-empty string
---@param message string a string
---@param fields? any a value
---@return zigllms.Error err
function zigllms.error(code, message, fields) end

---Marks a table as a JSON array, also when it is empty, and returns it.
---@param t any a value
---@return table t
function zigllms.array(t) end

---Marks a table as a JSON object and returns it.
---@param t any a value
---@return table t
function zigllms.object(t) end

---Waits for a handle: returns what the plain call returns, or raises its error.
---
---Errors: invalid_argument, cancelled, invalid_state
---@param handle zigllms.Handle a handle
---@return any ...
function zigllms.await(handle) end

---Waits for all handles of an array: their results in order. If one fails, its error is raised (`details.index`) and the others are cancelled, unless the array has `keep=true`.
---
---Errors: invalid_argument, cancelled
---@param handles zigllms.Handle[] a value
---@return table results
function zigllms.all(handles) end

---Waits for the first handle to end: its place and its result, or its error. The others are cancelled, unless the array has `keep=true`.
---
---Errors: invalid_argument, cancelled
---@param handles zigllms.Handle[] a value
---@return integer index
---@return any value
function zigllms.race(handles) end

---Calls `fn(item, index)` for each item of an array, so many at a time, each in a coroutine: the results in order, and the errors by index. The list ends at its first nil. Waits.
---
---Errors: invalid_argument, cancelled, callback_error
---@param list any[] a value
---@param fn fun(item: any, index: integer): any a function
---@param options? zigllms.MapOptions a table
---@return table results
---@return table<integer, any> errors
function zigllms.map(list, fn, options) end

---Calls many functions: an array of `{"bridge.function", arguments…, priority=}`, which may hold the options as well, or `function(b)` in which `b.bridge.function(…)` is taken down, with the priority that `b.priority(p)` named last. Those that wait run side by side, the higher priority first ("low", "normal", "high", "critical" or 0 to 3; equal ones in order); the others run in order, each behind the start of what stands before it. Calls for one key of memory keep their order. An array of `{ok, value or error, duration_ms}` in the order of the entries; `values` too where a call returned several. One failure stops nothing. Waits.
---
---Errors: invalid_argument, cancelled, callback_error
---@param entries any a value
---@param options? zigllms.BatchOptions a table
---@return table[] results
function zigllms.batch(entries, options) end

---Runs fn with the other arguments as a coroutine, at once until its first wait.
---@param fn function a function
---@param ... any handed on
---@return zigllms.Handle handle
function zigllms.spawn(fn, ...) end

---Waits so many milliseconds, in the way of the host.
---
---Errors: invalid_argument, cancelled
---@param ms number a number of at least 0
function zigllms.sleep(ms) end

---Delivers finished work and callbacks, at most 64 or for 10 ms at a time; waits for the first one at most so long (default 0).
---@param timeout_ms? number a number of at least 0
---@return integer delivered
function zigllms.poll(timeout_ms) end

---Spawns fn and goes on until nothing is unfinished; returns what fn returns.
---
---Errors: invalid_argument, invalid_state
---@param fn? function a function
---@param ... any handed on
---@return any ...
function zigllms.run(fn, ...) end

---How waits wait: "auto" (default) looks at the host each time; "blocking", "nvim", "openresty", "luv", "copas", "cqueues" name one; `{wait = function(fd, timeout_ms) … end}` is one of your own ("custom"). Returns the name of the choice; without an argument it changes nothing.
---
---Errors: invalid_argument, unsupported
---@param loop? "auto"|"blocking"|"nvim"|"openresty"|"luv"|"copas"|"cqueues"|zigllms.Loop one of "auto", "blocking", "nvim", "openresty", "luv", "copas", "cqueues" or a table
---@return string name
function zigllms.loop(loop) end

---A file descriptor that is readable when `poll` has work, timers included; for the event loop of a host.
---
---Errors: invalid_argument, io_error
---@return integer fd
function zigllms.fd() end

---A model with instructions, tools and a memory of the conversation.
---@class zigllms.agent
local agent = {}
zigllms.agent = agent

---@alias zigllms.agent.State
---| "idle"
---| "ready"
---| "running"
---| "completed"
---| "error"

agent.State = {
  IDLE = "idle",
  READY = "ready",
  RUNNING = "running",
  COMPLETED = "completed",
  ERROR = "error",
}

---Makes an agent. No network is used and no key is needed yet. A provider configured here belongs to the agent and its clones: it has no id, and infos show its type. Each round of a run asks the provider first, and those in `fallback` where it fails.
---
---Errors: invalid_argument, not_found, validation_failed, unsupported
---@param config zigllms.AgentConfig a table
---@return string agent_id
function agent.create(config) end

---Forgets an agent with its conversations; a run under way is cancelled. What lies under its name in `memory` goes too, in the process and in the store, unless `keep_memory` is true.
---
---Errors: invalid_argument, io_error
---@param agent_id string the id or name of an agent
---@param options? zigllms.AgentDestroy a table
---@return boolean existed
function agent.destroy(agent_id, options) end

---Gives the agent an input and runs it until the model has answered: while the model asks for tools, they are executed and it is asked again. `input` is a string, a message, an array of messages, `{message=|content=, context=}`, or any other table as JSON. A failing tool is told to the model. The turn is added to the conversation when the run returns; one that raises adds nothing, and `err.partial` has what there was. `usage` is the sum over rounds, repeated requests and all that ran inside. `tostring(response)` is its content. Waits.
---
---Errors: invalid_argument, not_found, invalid_state, validation_failed, auth, rate_limited, overloaded, context_length, content_filter, bad_request, server_error, network, bad_response, cancelled, timeout, budget_exceeded, max_iterations, callback_error, tool_error
---@param agent_id string the id or name of an agent
---@param input string|zigllms.Message|zigllms.Message[]|table a string or an array (a value each) or a table
---@param options? zigllms.RunOptions a table
---@return zigllms.Response response
---@overload fun(agent_id: string, input: string|zigllms.Message|zigllms.Message[]|table, options: { async: true }): zigllms.Handle
function agent.run(agent_id, input, options) end

---Merges options into an agent; `zigllms.null` unsets one. It applies to the next run; conversations stay.
---
---Errors: invalid_argument, not_found
---@param agent_id string the id or name of an agent
---@param config zigllms.AgentConfig a table
---@return true ok
function agent.configure(agent_id, config) end

---An `agent.State` string, and `{state, since, last_error, iteration, waiting_for, pending, pending_tool_calls}`. `waiting_for` is "approval" or "tool_results", `pending` the ids of the calls that wait in all sessions, `pending_tool_calls` is the calls themselves, with their `session`.
---
---Errors: invalid_argument, not_found
---@param agent_id string the id or name of an agent
---@return string state
---@return table detail
function agent.get_state(agent_id) end

---Everything about an agent: its options, tools, memory, counts and state. `usage` is that of its runs, each with the agents inside it. A fresh table each time.
---
---Errors: invalid_argument, not_found
---@param agent_id string the id or name of an agent
---@return table info
function agent.get_info(agent_id) end

---Agents in the order they were created: `{id, name, state, provider, model}`.
---@param filter? zigllms.AgentFilter a table
---@return table[] agents
function agent.list(filter) end

---Clears conversations, pending calls, counters, usage and the last error; the configuration stays, and so does what lies in `memory`, unless `memory` is true. Persistent conversations are cleared in the store.
---
---Errors: invalid_argument, not_found, invalid_state, io_error
---@param agent_id string the id or name of an agent
---@param options? zigllms.AgentReset a table
---@return true ok
function agent.reset(agent_id, options) end

---Goes on with a run that has stopped with `approval_required`. `decisions` says for each pending call, by its id, "approve", "deny", `{deny="why"}`, `{arguments=…}` or `{result=…}`; calls that a client answers may be left to `agent.run`. The run keeps the options it was given, those here stand over them; its iterations, usage and budget go on, and the response is that of the whole run, without the time it stood still. Should it raise, the calls that were made are not made again: resume once more. A run that lies in the store (memory type "persistent") goes on in one process at a time. Waits.
---
---Errors: invalid_argument, not_found, invalid_state, validation_failed, auth, rate_limited, overloaded, context_length, content_filter, bad_request, server_error, network, bad_response, cancelled, timeout, budget_exceeded, max_iterations, callback_error, tool_error
---@param agent_id string the id or name of an agent
---@param decisions table<string, "approve"|"deny"|zigllms.Decision> a table (one of "approve", "deny" or a table each)
---@param options? zigllms.ResumeOptions a table
---@return zigllms.Response response
---@overload fun(agent_id: string, decisions: table<string, "approve"|"deny"|zigllms.Decision>, options: { async: true }): zigllms.Handle
function agent.resume(agent_id, decisions, options) end

---Whether an agent has that id or name.
---@param agent_id string the id or name of an agent
---@return boolean exists
function agent.exists(agent_id) end

---A new agent of the same configuration, with some options changed; the conversation is not copied.
---
---Errors: invalid_argument, not_found
---@param agent_id string the id or name of an agent
---@param overrides? zigllms.AgentConfig a table
---@return string agent_id
function agent.clone(agent_id, overrides) end

---The definition of a tool that runs the agent: for the `tools` of another agent, or for `tool.register`. Its result is the agent's `content`, or `parsed` if it has a schema; a failure is told to the model that called. Calls of one round run side by side, the handoffs after all others: the first one ends the run with the other agent's answer (`response.agent_id` says whose), a second one is not executed. The run inside is one of its agent, with hooks and events of its own and without a time limit as a tool; what it uses is part of the `usage` and the `budget` of the runs around it. Only a handoff is heard in the stream. Calls in it that need approval stop the outermost run, under ids like `c1/p1`. Agents are nested 16 deep at most; one that would wait for a conversation of a run around it is refused (invalid_state).
---
---Errors: invalid_argument, not_found
---@param agent_id string the id or name of an agent
---@param options? zigllms.AsTool a table
---@return zigllms.ToolDefinition definition
function agent.as_tool(agent_id, options) end

---Says something to a run that is under way: a string, a message of the role "user", or an array of them. The model sees it with the next request, behind the results of the tools that run now; if it was about to finish it is asked once more. False if the agent has no run that could still see it. Of several runs it is the one around the caller, else the one that began first. What no request could follow any more (`max_iterations`, the budget, a handoff, calls for a client) is in `unseen_messages` of the response, or of `err.partial`; of a run inside another one, in those of the outermost. A run that stops for approval keeps it: its model sees it once the run goes on, or with the next input.
---
---Errors: invalid_argument, not_found
---@param agent_id string the id or name of an agent
---@param message string|(any)[]|table a string or an array (a value each) or a table
---@param options? zigllms.SendOptions a table
---@return boolean sent
function agent.send(agent_id, message, options) end

---An agent as plain data, for `agent.import` in this or another process: configuration, conversations of all sessions as of their last finished turn, runs that wait for a decision, usage and counts. Functions, API keys and headers stay behind: tools are named, those of the agent alone come without their function. What lies in `memory` is no part of it; persistent conversations are in it as this process saw them last.
---
---Errors: invalid_argument, not_found
---@param agent_id string the id or name of an agent
---@return table exported
function agent.export(agent_id) end

---A new agent from what `agent.export` gave. `overrides` are options over those that came; `tools` in it bind functions: a tool takes the place of the one of its name. Tools that are only named are looked up at each run; what is not registered then is skipped, and `missing` in infos. A provider without a key takes it from the environment. A stopped run goes on with `agent.resume`.
---
---Errors: invalid_argument, not_found, validation_failed, unsupported
---@param exported table a table
---@param overrides? zigllms.AgentConfig a table
---@return string agent_id
function agent.import(exported, overrides) end

---Functions that models may call: a name, a JSON Schema of the input, and a Lua function.
---@class zigllms.tool
local tool = {}
zigllms.tool = tool

---@alias zigllms.tool.ExecutionMode
---| "direct"
---| "sandboxed"
---| "async"

tool.ExecutionMode = {
  DIRECT = "direct",
  SANDBOXED = "sandboxed",
  ASYNC = "async",
}

---@alias zigllms.tool.Category
---| "file"
---| "http"
---| "system"
---| "data"

tool.Category = {
  FILE = "file",
  HTTP = "http",
  SYSTEM = "system",
  DATA = "data",
}

---Makes a tool known by id and name. `execute(input, ctx)` may wait and may return any value; raising, or returning `nil, message`, is a failure. `ctx` holds `tool_id`, `name`, `cancelled()` and, inside an agent, `agent_id` and `call_id`. `source`, Lua text that returns such a function, runs sandboxed instead: in a Lua state of its own that every call finds new, on a thread of the module, so that calls overlap and the host goes on. It has no io, os, package, debug, load, print, ffi or jit, no finalizers, and nothing of the host; plain data go in and out. `timeout_ms` (1000), `memory_limit` (64 MiB) and `max_result_bytes` (1 MiB) hold whatever it does: `timeout` of phase tool, or `tool_error` whose `details.reason` is "memory", "stack_overflow", "result_too_large", "not_plain_data", "no_function" or "raised". See doc/sandbox.md.
---
---Errors: invalid_argument, already_exists, validation_failed, unsupported
---@param definition zigllms.ToolDefinition a table
---@return string tool_id
function tool.register(definition) end

---Forgets a tool. Agents that hold it skip it and show it as missing. Built-in tools stay: false.
---@param tool_id string the id or name of a tool
---@return boolean existed
function tool.unregister(tool_id) end

---Calls a tool: fills the schema's defaults (the caller's table is not written), checks the input, calls the function, and returns its first value as it is. A JSON string is read if the tool takes an object, with repairs that lose nothing. With `cache` the result for an equal input (and `context`) is given again without a call: as a copy, and only of plain data without metatables and integer keys beside names. Waits.
---
---Errors: invalid_argument, not_found, validation_failed, tool_error, timeout, cancelled, unsupported
---@param tool_id string the id or name of a tool
---@param input? any a value
---@param options? zigllms.ToolOptions a table
---@return any result
---@overload fun(tool_id: string, input?: any, options: { async: true }): zigllms.Handle
function tool.execute(tool_id, input, options) end

---Registered tools in the order they were registered: `{id, name, description, category, source, tags}`. The filter is that of `discover`.
---@param filter? string|zigllms.ToolFilter a string or a table
---@return table[] tools
function tool.list(filter) end

---The normalised definition with the id and the same function; nil if there is no such tool. The id of a built-in tool is its name.
---@param tool_id string the id or name of a tool
---@return table? definition
function tool.get(tool_id) end

---Whether a tool has that id or name; built-in tools are there.
---@param tool_id string the id or name of a tool
---@return boolean exists
function tool.exists(tool_id) end

---Every tool that can be used by name: built-in ones, then those registered, as `{id, name, description, category, source, tags}`. Built-in ones have no id, and go by their name (also among `ids`); one whose name a registered tool has is hidden. The filter is a category or a table.
---@param filter? string|zigllms.ToolFilter a string or a table
---@return table[] tools
function tool.discover(filter) end

---Says what is wrong with a definition (a table), or with an input of a tool (its id or name first, then the input), without calling anything: `{valid, errors, warnings}`, each error `{path, message, keyword}` with a JSON pointer. What is wrong is no error; the result is a table, so test `.valid`.
---
---Errors: invalid_argument, not_found
---@param definition string|table a string or a table
---@param input? any a value
---@return table result
function tool.validate(definition, input) end

---What a tool takes and gives: `{name, description, parameters, returns, input, output}`, where `input` is `parameters` and `output` is `returns`. With a format: the tool as requests in that protocol carry it.
---
---Errors: invalid_argument, not_found
---@param tool_id string the id or name of a tool
---@param format? "openai"|"anthropic"|"cohere"|"mcp" one of "openai", "anthropic", "cohere", "mcp"
---@return table schema
function tool.get_schema(tool_id, format) end

---What is known of a tool: `{id, name, description, category, type, has_execute, execution_mode, version, tags, parameters, call_count, error_count, avg_time_ms, last_called_at, registered_at, metadata}`. The type says who does the work: "script", "builtin", "declared" (a client) or "mcp". The id of a built-in tool is its name.
---
---Errors: invalid_argument, not_found
---@param tool_id string the id or name of a tool
---@return table info
function tool.get_info(tool_id) end

---Makes the tools of an MCP server tools here: of a program (`command`) or of a web server (`url`). Each is what it was when it was imported: one whose definition the server changes later is refused (`invalid_state`) until it is imported again. An import under the same `name` takes the place of the one before. A program ends with its last tool, and is started again by the next call if it has died; what it writes to its standard error becomes event `tool.log`. A result is the structured content, else the text, else the blocks as they came. Waits.
---
---Errors: invalid_argument, io_error, network, timeout, bad_response, auth, already_exists, cancelled
---@param options zigllms.McpImportOptions a table
---@return string[] tool_ids
---@overload fun(, options: { async: true }): zigllms.Handle
function tool.import_mcp(options) end

---Is an MCP server for these tools (ids or names; without any: all that are registered and do something), on standard input and output, until the input is closed and the last call is answered. Calls run side by side as far as they wait. A tool that fails, and arguments that do not fit, are results with `isError`; results of tools whose `returns` is an object come structured as well. Meanwhile what is printed goes to standard error. Waits.
---
---Errors: invalid_argument, not_found, invalid_state, io_error, unsupported, cancelled
---@param tools? (string)[]|string an array (the id or name of a tool each) or the id or name of a tool
---@param options? zigllms.McpServeOptions a table
---@return boolean done
---@overload fun(tools?: (string)[]|string, options: { async: true }): zigllms.Handle
function tool.serve_mcp(tools, options) end

---Workflows: steps that call agents, tools and functions, one after the other, side by side, by conditions or in loops, and what becomes of their results.
---@class zigllms.workflow
local workflow = {}
zigllms.workflow = workflow

---@alias zigllms.workflow.Status
---| "pending"
---| "running"
---| "paused"
---| "completed"
---| "failed"
---| "cancelled"

workflow.Status = {
  PENDING = "pending",
  RUNNING = "running",
  PAUSED = "paused",
  COMPLETED = "completed",
  FAILED = "failed",
  CANCELLED = "cancelled",
}

---@alias zigllms.workflow.Pattern
---| "sequential"
---| "parallel"
---| "conditional"
---| "loop"

workflow.Pattern = {
  SEQUENTIAL = "sequential",
  PARALLEL = "parallel",
  CONDITIONAL = "conditional",
  LOOP = "loop",
}

---Makes a workflow known by id and name. What is wrong with the definition is told all at once, in `details.errors`: `{path, message, code}` of 1000 problems at most, and in `details.more_errors` how many more there are. Scripts are compiled, conditions and templates are read; agents, tools and workflows are looked for when a step is executed, so they may come later. What else can be known before that, `validate` says. Templates are `{{path}}`, `{{path | json}}`, `{{path | trim}}` or `{{path | default("x")}}`; the path begins with `input`, `previous.output`, `steps.<id>.output`, `variables.<name>`, `workflow.name`, or in loops and maps `loop.item` or `loop.index`. Conditions compare templates and literals by `== ~= < <= > >= contains matches`, with `not`, `and`, `or` and parentheses. Functions get `ctx`: `{input, previous, steps, variables, workflow, loop, step_id, attempt, idempotency_key}` with `cancelled()` and in loops `break_loop()`. More is in doc/workflows.md.
---
---Errors: invalid_argument, validation_failed
---@param definition zigllms.WorkflowDefinition a table
---@return string workflow_id
function workflow.create(definition) end

---Executes a workflow with an input, any value. The result is `{workflow_id, execution_id, name, status, output, steps={[id]={status, output?, response?, error?, attempts, started_at, duration_ms}}, step_order, usage, started_at, finished_at, duration_ms}`. `output` is the last executed step's (SEQUENTIAL), a table by step (PARALLEL), the executed branch's (CONDITIONAL) or an array of the iterations' (LOOP; with `iterations` and `break_reason`). Where an agent's calls need a decision the result has `status = "paused"` and `pending`: `{step_id, agent_id, session, execution_id, calls}`, with the calls of all agents that wait, and in its array the same of each agent; `resume` goes on. Values pass from step to step as they are. A failure raises the error of the step, with `details.workflow_id`, `execution_id`, `step_id` and `completed`. With `durable` or `run_id` the execution is a run that a store records (`result.run_id`, `recovered_steps`): see doc/durability.md. Waits.
---
---Errors: invalid_argument, not_found, validation_failed, template_error, conversion_error, callback_error, tool_error, timeout, cancelled, aborted_by_hook, hook_error, invalid_state, already_exists, version_mismatch, io_error, unsupported
---@param workflow_id string the id or name of a workflow
---@param input? any a value
---@param options? zigllms.WorkflowOptions a table
---@return zigllms.WorkflowResult result
---@overload fun(workflow_id: string, input?: any, options: { async: true }): zigllms.Handle
function workflow.execute(workflow_id, input, options) end

---Stops an execution at the next boundary: before a step, an iteration, or the next question of an agent. true if it was running; a plain `execute` then returns a result with `status = "paused"`. The id is an execution's, or a workflow's: its latest execution. Steps, tools and hooks of the execution itself may call it.
---
---Errors: invalid_argument, not_found, io_error, unsupported, cancelled
---@param id string the id or name of an execution
---@return boolean paused
function workflow.pause(id) end

---Lets a paused execution go on to its end, or to the next pause: true and the result. false if it is not paused. Steps that have ended are not executed again. Where agents wait for decisions on their calls, `decisions` or `tool_results` say what becomes of those, by the ids in `result.pending`; agents on whose calls nothing is said go on waiting. Raises as `execute` does. With `async=true` the execution's handle: the one it has, if it was begun with one. Waits.
---
---Errors: invalid_argument, not_found, validation_failed, template_error, conversion_error, callback_error, tool_error, timeout, cancelled, aborted_by_hook, hook_error, invalid_state, already_exists, version_mismatch, io_error, unsupported
---@param id string the id or name of an execution
---@param options? zigllms.WorkflowResume a table
---@return boolean resumed
---@return zigllms.WorkflowResult? result
---@overload fun(id: string, options: { async: true }): zigllms.Handle
function workflow.resume(id, options) end

---Ends an execution that is running or paused: true. Whoever waits for it gets the error `cancelled`, with `details.reason`.
---
---Errors: invalid_argument, not_found, io_error, unsupported, cancelled
---@param id string the id or name of an execution
---@param reason? string a string
---@return boolean cancelled
function workflow.cancel(id, reason) end

---How an execution stands, and `{id, execution_id, name, status, pattern, steps_count, completed_steps, current_step, progress, started_at, finished_at, duration_ms, error, steps}`. `steps_count` and `completed_steps` count steps inside of others, too; `progress` from 0 to 1 is how many of the outermost ones are over; times are Unix seconds. "pending" for a workflow that was never executed. Never waits, but for a run that this process does not have: that is in the store, and `owned` and `owner` say who has it.
---
---Errors: invalid_argument, not_found, io_error, unsupported, cancelled
---@param id string the id or name of an execution
---@return zigllms.workflow.Status status
---@return zigllms.ExecutionInfo info
function workflow.get_status(id) end

---The result of an execution that is completed: the very table that `execute` returned. Of one that is pending, running or paused nil and the status; of one that has failed or was cancelled nil, the status and the error. `wait` or `timeout_ms` waits for the end, also while it is paused. A workflow that was never executed is pending, and is not waited for.
---
---Errors: invalid_argument, not_found, timeout, cancelled, invalid_state, io_error, unsupported
---@param id string the id or name of an execution
---@param options? zigllms.WorkflowResultOptions a table
---@return zigllms.WorkflowResult? result
---@return zigllms.workflow.Status? status
---@return zigllms.Error? error
---@overload fun(id: string, options: { async: true }): zigllms.Handle
function workflow.get_result(id, options) end

---All workflows in the order they were made: `{id, name, pattern, status, steps_count}`. The status is that of the latest execution, "pending" before the first; `steps_count` counts steps inside of others, too. With `runs=true` the runs in the store, the oldest first: `{id, workflow_id?, name, version, status, started_at, finished_at?, owned, owner}`; `owned` says whether a process that lives has it.
---
---Errors: invalid_argument, invalid_state, io_error, unsupported, cancelled
---@param filter? zigllms.WorkflowFilter a table
---@return table[] workflows
function workflow.list(filter) end

---The normalised definition with its id; nil if there is no such workflow.
---@param workflow_id string the id or name of a workflow
---@return table? definition
function workflow.get(workflow_id) end

---Makes one workflow of several: each is a step that executes it, and is called as it is named here. A part is an id or name, a definition, or `{id, input, output, condition, on_error, default}`. The pattern decides: sequential hands each output to the next, parallel gives all the same input, conditional executes the first whose condition holds, loop repeats them. The parts stay workflows of their own.
---
---Errors: invalid_argument, not_found, validation_failed
---@param workflows (string|zigllms.CompositionPart)[] an array (a string or a table each)
---@param how? "sequential"|"parallel"|"conditional"|"loop"|zigllms.Composition one of "sequential", "parallel", "conditional", "loop" or a table
---@return string workflow_id
function workflow.compose(workflows, how) end

---Says what is wrong with a definition, or with a workflow by its id, and executes nothing: `{valid, errors, warnings, has_cycles, step_count}`, where each error and warning is `{path, message, code}`. Besides what `create` refuses, errors are templates that can never be filled in: unknown roots and steps, `loop` outside of loops, steps that cannot have run by then (with `default(…)` a warning). Warnings are agents, tools and workflows that do not exist yet, steps that may not have run by then, steps that are never reached, conditions that compare constants, lists without steps. Of each 1000 are told at most; `more_errors` and `more_warnings` are how many more there are. What is wrong is no error; the result is a table, so test `.valid`.
---
---Errors: invalid_argument, not_found
---@param definition string|zigllms.WorkflowDefinition a string or a table
---@return table result
function workflow.validate(definition) end

---What a workflow needs: `{agents, tools, workflows, steps, order, missing}`. The first three are ids of what its steps call; `missing` has, under the same names, what does not exist (yet). `steps` has for each step the ids of those it depends on: by `depends_on`, and by templates that name them or `previous`. `order` has the ids of all steps in the order in which they run, those inside of a step behind it.
---
---Errors: invalid_argument, not_found
---@param workflow_id string the id or name of a workflow
---@return table dependencies
function workflow.get_dependencies(workflow_id) end

---Executes one step, then pauses: `{id, status, output, response, error, attempts, started_at, duration_ms}` of that step, with `execution_id`, `execution_status` and `result`, which `execute` would have returned. The id of a workflow begins a new execution, unless `step` has paused its latest one, which goes on; so does a paused execution by its own id. Input and options are those of a new execution. Steps that hold others are gone into: what counts as one step is what does work itself, in a parallel step one branch after the other; a `workflow_call` is executed whole. Steps whose condition does not hold are passed over. `resume` executes all that is left. A failure raises as `execute` does. Waits.
---
---Errors: invalid_argument, not_found, validation_failed, template_error, conversion_error, callback_error, tool_error, timeout, cancelled, aborted_by_hook, hook_error, invalid_state, already_exists, version_mismatch, io_error, unsupported
---@param id string the id or name of an execution
---@param input? any a value
---@param options? zigllms.WorkflowStepOptions a table
---@return zigllms.StepResult step
---@overload fun(id: string, input?: any, options: { async: true }): zigllms.Handle
function workflow.step(id, input, options) end

---What is known of a workflow: `{id, name, description, version, pattern, status, steps_count, created_at, metadata, executions}`, and of its executions that are still known `executions` by status, `latest_execution_id`, `latest_started_at`, `latest_duration_ms` and `avg_time_ms`.
---
---Errors: invalid_argument, not_found
---@param workflow_id string the id or name of a workflow
---@return table info
function workflow.get_info(workflow_id) end

---Forgets a workflow and cancels its executions: whoever waits for one gets the error `cancelled`. What is known of executions stays, of the newest 100 of all workflows that are gone. False if there is no such workflow.
---@param workflow_id string the id or name of a workflow
---@return boolean existed
function workflow.destroy(workflow_id) end

---The workflow as a flowchart in the language of Mermaid, which GitHub and many editors draw. The shape of a step says what it does; conditions stand on arrows, loops and maps are boxes that lead back into themselves, dotted arrows go on after a failure. Ids and names may be any text. By the id of an execution the colours say how each step stands: pending, running, paused, completed, failed, skipped or cancelled; what is in loops and maps looks like the last of its ends.
---
---Errors: invalid_argument, not_found
---@param id string the id or name of a workflow or an execution
---@return string graph
function workflow.to_mermaid(id) end

---Goes on with every durable run in the store that has not ended, whose workflow, by its name, has been created here, and whose process is gone: a handle for each. `skipped` are the others that have not ended: `{run_id, workflow, reason}`, with the reason "owned", "paused", "unknown_outcome", "unknown_workflow", "ambiguous", "version_mismatch" or "unreadable" (with `error`: records that are damaged, or of a later version). Waits.
---
---Errors: invalid_argument, invalid_state, io_error, unsupported, cancelled
---@param filter? zigllms.WorkflowRecover a table
---@return zigllms.Handle[] handles
---@return table[] skipped
function workflow.recover(filter) end

---Language models: OpenAI (chat and Responses), Anthropic, Cohere, Ollama, every server that speaks OpenAI's protocol, and GGUF files that the module runs itself.
---@class zigllms.provider
local provider = {}
zigllms.provider = provider

---@alias zigllms.provider.Type
---| "openai"
---| "anthropic"
---| "cohere"
---| "local"

provider.Type = {
  OPENAI = "openai",
  ANTHROPIC = "anthropic",
  COHERE = "cohere",
  LOCAL = "local",
}

---@alias zigllms.provider.Status
---| "active"
---| "inactive"
---| "error"
---| "initializing"

provider.Status = {
  ACTIVE = "active",
  INACTIVE = "inactive",
  ERROR = "error",
  INITIALIZING = "initializing",
}

---Asks a model. `messages` is a string, a message, or an array of `{role, content}`, where `content` is a text or parts: `{type="text", text=}`, `{type="image"|"document", data=bytes | path= | url=}`; `cache=true` on a part or message lets the provider keep the prompt up to there. The options may also stand beside `messages` in one table. The response has `content`, `tool_calls`, `finish_reason`, `usage`, `message` (to be appended as it is), `cost` where the provider has `prices`; `tostring` gives the content. With `response_format` it has `parsed`, and `structured` tells who saw to it: "strict" the server let nothing pass that does not fit the schema, "json" nothing that is no JSON, "prompted" the model was asked to; `parsed` is checked in any case. Transient failures are retried before anything was delivered; then those in `fallback` are asked, after any failure but a refused request (`bad_request`) or content (`content_filter`). They get the call's settings of generation, tools and time limits, not its model, `headers`, `extra` and `rate_limit`, and their own fallbacks are not asked. `provider`, `model` and `attempts` of the response tell who answered and how many requests that took; if all fail, the last error has what the others said in `details.fallbacks`. With `cache` an answer to the same question is kept and given again: `cached=true`, with the usage and cost of then, which are not counted again; streamed, it comes in one chunk. Answers of fallbacks, those cut off by a filter and those that are cancelled are not kept. Waits.
---
---Errors: invalid_argument, not_found, auth, rate_limited, overloaded, context_length, content_filter, bad_request, server_error, network, timeout, bad_response, validation_failed, unsupported, cancelled, callback_error
---@param messages string|zigllms.Message|zigllms.Message[]|zigllms.ChatOptions a string or an array (a value each) or a table
---@param options? zigllms.ChatOptions a table
---@return zigllms.Response response
---@overload fun(messages: string|zigllms.Message|zigllms.Message[]|zigllms.ChatOptions, options: { async: true }): zigllms.Handle
function provider.chat(messages, options) end

---As `chat`, with `callback(chunk)` called as the answer arrives; returning false stops it. Without a callback it returns a handle at once: `for chunk in zigllms.provider.stream(messages, options) do`. A chunk has `content`, `index`, `done`; the last one has `done=true`, `finish_reason` and `usage`. Waits.
---
---Errors: invalid_argument, not_found, auth, rate_limited, overloaded, context_length, content_filter, bad_request, server_error, network, timeout, bad_response, validation_failed, unsupported, cancelled, callback_error
---@param messages string|zigllms.Message|zigllms.Message[]|zigllms.ChatOptions a string or an array (a value each) or a table
---@param callback? zigllms.ChatOptions|fun(chunk: zigllms.Chunk): boolean? a function or a table
---@param options? zigllms.ChatOptions a table
---@return zigllms.Response response
---@overload fun(messages: string|zigllms.Message|zigllms.Message[]|zigllms.ChatOptions, callback?: zigllms.ChatOptions|fun(chunk: zigllms.Chunk): boolean?, options: { async: true }): zigllms.Handle
---@overload fun(messages: string|zigllms.Message|zigllms.Message[]|zigllms.ChatOptions, options?: zigllms.ChatOptions): zigllms.Handle
function provider.stream(messages, callback, options) end

---Makes a provider of its own. No network is used, and no key is needed yet. `rate_limit` is counted for each provider (and `key`), by every call that asks it: requests, retries and lists of models too. With `transport` a function of yours makes the HTTP requests. It returns `{status=, headers=, body=}`, or `nil, message` for a network error, which is retried; what it raises is raised. While it runs, `request.stream(bytes)` takes pieces of the body and delivers them; it returns false where no more is wanted: the answer is complete, or the call was cancelled, or is late. `request.timeout_ms` is how long it may take to the first piece. `proxy` and `ca` are then for your function to see to; redirects are not to be followed.
---
---Errors: invalid_argument, already_exists, unsupported
---@param config zigllms.ProviderConfig a table
---@return string provider_id
function provider.create(config) end

---Merges options into a provider; `zigllms.null` restores a default. A type name stands for the default provider of that type. The type itself stays.
---
---Errors: invalid_argument, not_found, already_exists, unsupported
---@param provider_id string the id or name of a provider
---@param config zigllms.ProviderConfig a table
---@return true ok
function provider.configure(provider_id, config) end

---The four default types and everything created: `{id, name, type, status, model, base_url, is_default}`.
---@return table[] providers
function provider.list() end

---What `list` tells, with `embed_model`, options, request counts, usage, `has_key` and `capabilities`: `{streaming, tools, vision, json_schema, embeddings, count_tokens}`; nil if there is none. What it lacks is `unsupported`, but for two: without `json_schema` a schema is told to its usual model in words, and without `count_tokens` tokens are estimated.
---@param provider_id string the id or name of a provider
---@return table? info
function provider.get(provider_id) end

---Forgets a provider; a default one loses its configuration. Agents that use it fail at their next run.
---@param provider_id string the id or name of a provider
---@return boolean existed
function provider.destroy(provider_id) end

---Which models there are, all pages of the list, asked live and kept for `cache.ttl_ms`: `{id, name, owned_by, created, context_length, max_output_tokens}`, sorted by id. Waits.
---
---Errors: invalid_argument, not_found, auth, rate_limited, overloaded, context_length, content_filter, bad_request, server_error, network, timeout, bad_response, validation_failed, unsupported, cancelled, callback_error
---@param provider_id? string the id or name of a provider
---@param options? zigllms.ModelsOptions a table
---@return table[] models
---@overload fun(provider_id?: string, options: { async: true }): zigllms.Handle
function provider.get_models(provider_id, options) end

---Turns texts into vectors. `input` is a text or an array of texts; the result has `embeddings`, an array of numbers for each of them, in their order, with `dimensions`, `model`, `provider`, `usage` and `cost`. Long arrays are sent in as many requests as the provider wants; where one fails, `err.partial` has what came before. Without `model` the provider's `embed_model` is asked, which `get` shows; llamacpp and vllm are asked for the first model they list. A provider without embeddings (anthropic, groq, xai, deepseek) is `unsupported`. A model file gives vectors of length 1: as it was made for, or the mean of its tokens. Waits.
---
---Errors: invalid_argument, not_found, auth, rate_limited, overloaded, context_length, content_filter, bad_request, server_error, network, timeout, bad_response, validation_failed, unsupported, cancelled, callback_error
---@param input string|(string)[] a string or an array (a non-empty string each)
---@param options? zigllms.EmbedOptions a table
---@return zigllms.Embeddings result
---@overload fun(input: string|(string)[], options: { async: true }): zigllms.Handle
function provider.embed(input, options) end

---How many tokens messages, or a text, hold. Providers with `capabilities.count_tokens` are asked (anthropic, llamacpp, vllm, openai with `api="responses"`), and the engine inside the module counts with the model's own template: then `exact` is true. Others are not asked: a quarter of the bytes of each text, 85 for an image, and `exact` is false; also where a server turns out to know no such question. A text is counted as it stands where that can be asked, else as a user message. Waits where somebody is asked.
---
---Errors: invalid_argument, not_found, auth, rate_limited, overloaded, context_length, content_filter, bad_request, server_error, network, timeout, bad_response, validation_failed, unsupported, cancelled, callback_error
---@param messages string|(any)[]|table a string or an array (a value each) or a table
---@param options? zigllms.CountOptions a table
---@return integer tokens
---@return boolean exact
---@overload fun(messages: string|(any)[]|table, options: { async: true }): zigllms.Handle
function provider.count_tokens(messages, options) end

---Telling others what happens, and hearing of it. Names are segments with dots between them. In a pattern `*` is one segment, and any rest of the name at its end (`workflow.*`, `agent.st*`); `**` is any number of segments. A handler gets one argument, the event: `{id, type, name, category, priority, data, source, timestamp, correlation_id?, tags?, metadata?, replayed?, remote?}`, whose `type` and `name` are its full name. The module itself tells `agent.started` `{agent_id, agent_name, input}`, `agent.completed` (and `content`, `usage`, `finish_reason`, `duration_ms`) or `agent.failed` (and `error`, `duration_ms`); `tool.invoked` `{tool_id, tool_name, input, agent_id?, call_id?}`, `tool.succeeded` (and `output`, `duration_ms`) or `tool.failed` (and `error`, `duration_ms`); of MCP servers also `tool.progress` `{server, tool, progress, total?, message?, agent_id?, call_id?}` and `tool.log` `{server, text, stream, level?}`; `provider.request` `{provider, model, operation, agent_id?}`, `provider.retry` (and `attempt`, `delay_ms`, `error`, `next_provider?`), `provider.response` (and `usage`, `attempts`, `finish_reason`, `duration_ms`) or `provider.error` (and `error`, `duration_ms`); `memory.updated` `{op, key?, scope?, owner?, count?}`; `hook.failed` `{hook_id, point, error}`; `workflow.started` `{workflow_id, workflow_name, execution_id, input}`, then `workflow.completed` or `workflow.paused` (and `result`, `duration_ms`), `workflow.failed` or `workflow.cancelled` (and `error`, `duration_ms`), and `workflow.resumed` as it goes on; of each step the same ids in `workflow.step_started` (and `step_id`, `step_type`, `input`), `workflow.step_completed` (and `output`, `attempts`, `duration_ms`), `workflow.step_failed` (and `error`, `attempts`, `duration_ms`) or `workflow.step_skipped` (and `reason`); `system.handler_error` `{subscription_id, event, error}`; `system.batch_error` `{error, lost}`.
---@class zigllms.event
local event = {}
zigllms.event = event

---@alias zigllms.event.Type
---| "system"
---| "user"
---| "agent"
---| "tool"
---| "workflow"

event.Type = {
  SYSTEM = "system",
  USER = "user",
  AGENT = "agent",
  TOOL = "tool",
  WORKFLOW = "workflow",
}

---@alias zigllms.event.Priority
---| "low"
---| "normal"
---| "high"
---| "critical"

event.Priority = {
  LOW = "low",
  NORMAL = "normal",
  HIGH = "high",
  CRITICAL = "critical",
}

---Calls the handlers of all subscriptions that match, before it returns; says how many those were. `data` is handed on as it is. A table with no keys but `data`, `priority`, `type` or `category`, `source`, `tags`, `metadata` and `correlation_id` that has `data` or a valid `priority` is an envelope around the data; with options it never is. What a handler raises is counted and emitted as `system.handler_error` `{subscription_id, event, error}`; with `strict` the first is raised. At most 64 emits are nested.
---
---Errors: invalid_argument, conversion_error, invalid_state
---@param name string a non-empty string
---@param data? any a value
---@param options? zigllms.EmitOptions a table
---@return true ok
---@return integer delivered
function event.emit(name, data, options) end

---Has callback(event) called for events whose names match, from the next one on: by priority, then in order of subscription. It may wait, emit, subscribe and unsubscribe.
---
---Errors: invalid_argument, conversion_error
---@param pattern string a non-empty string
---@param callback fun(event: zigllms.Event) a function
---@param options? zigllms.SubscribeOptions a table
---@return string subscription_id
function event.subscribe(pattern, callback, options) end

---Ends a subscription, from the next event on; also removes a filter, stops a recorder, and ends a bridge.
---@param subscription_id string the id or name of a subscription
---@return boolean found
function event.unsubscribe(subscription_id) end

---All subscriptions in order; those that hear of events of a name; or those whose patterns are, or match, a pattern with `*`.
---@param pattern? string a non-empty string
---@return zigllms.Subscription[] subscriptions
function event.list_subscriptions(pattern) end

---With a callback: has callback(event) called before all others, in order of registration; `false` drops the event, a table replaces its data (or its fields, if all its keys are fields of events), nil and true let it pass. Gives an id for `unsubscribe`. Without one: copies of the recorded events that match, in the order in which they happened, each once however many recorders have it. With a recorder in a store it waits.
---
---Errors: invalid_argument, not_found, io_error, unsupported, invalid_state, cancelled
---@param pattern string|zigllms.EventCriteria a non-empty string or a table
---@param callback? fun(event: zigllms.Event): boolean|table? a function
---@return string|zigllms.Event[] result
---@overload fun(pattern: string|zigllms.EventCriteria, options: { async: true }): zigllms.Handle
function event.filter(pattern, callback) end

---Keeps copies of the events whose names match, of all unless told, from the next one on; a number is `duration_ms`. `unsubscribe` stops it; what it has stays until `clear`. Lines of a file are written together as writes to the store are: by `configure{batch=}`, `flush`, `unsubscribe` and the end. A file is made for its owner only to read; `max_events` does not shorten it. What is no plain data (functions, userdata) is left out, which `unrecorded` of the event then names, and is reported as an error of a handler. With a store it waits.
---
---Errors: invalid_argument, io_error, unsupported, invalid_state, cancelled
---@param pattern? string a non-empty string
---@param options? number|zigllms.RecordOptions a number of at least 1 or a table
---@return string recorder_id
---@overload fun(pattern?: string, options: { async: true }): zigllms.Handle
function event.record(pattern, options) end

---Emits what a recorder has, or what is in a file, again and in order: with the ids and times there were, and with `replayed = true`. Such events are not recorded. A name that no recorder of this instance has is looked for in the store, then as a file. What happens meanwhile is not part of it. A file is read piece by piece; a last line that a killed process left half written is passed over, any other that is no event is `parse_failed`, with its number as `details.line`. An error of the callback ends the replay. Waits.
---
---Errors: invalid_argument, not_found, io_error, parse_failed, unsupported, invalid_state, callback_error, timeout, cancelled
---@param recorder string the id or name of a recorder
---@param options? zigllms.ReplayOptions a table
---@return true ok
---@return integer count
---@overload fun(recorder: string, options: { async: true }): zigllms.Handle
function event.replay(recorder, options) end

---Forgets recorded events whose names match, all unless told, in the store as well; files stay as they are. A recorder that has stopped and has nothing left goes. Options widen it, "all" to everything they name: to those whose own pattern is the one given, or is covered by it. Returns how many events and other things went. With a store it waits.
---
---Errors: invalid_argument, not_found, io_error, invalid_state, cancelled
---@param pattern? string a non-empty string
---@param options? "all"|zigllms.EventClearOptions one of "all" or a table
---@return true ok
---@return integer count
---@overload fun(pattern?: string, options: { async: true }): zigllms.Handle
function event.clear(pattern, options) end

---Shares events with other processes and machines, through a stream of the Redis store: those that match are published, and those that others published are delivered here, with `remote=true`, their `origin` and `position`, and otherwise as they were. Nobody gets its own events back, and what came from elsewhere is not published again. Each event is delivered at least once; one that comes twice has the same origin and id. Data must be plain data. `unsubscribe(bridge_id)` ends it, `zigllms.flush()` waits until everything has left. See doc/redis.md. Waits until the server has answered.
---
---Errors: invalid_argument, unsupported, io_error, cancelled
---@param options zigllms.BridgeOptions a table
---@return string bridge_id
---@overload fun(, options: { async: true }): zigllms.Handle
function event.bridge(options) end

---Agents, tools and workflows tested without a network and without a key.
---@class zigllms.test
local test = {}
zigllms.test = test

---@alias zigllms.test.AssertType
---| "equals"
---| "contains"
---| "matches"
---| "throws"

test.AssertType = {
  EQUALS = "equals",
  CONTAINS = "contains",
  MATCHES = "matches",
  THROWS = "throws",
}

---@alias zigllms.test.MockType
---| "function"
---| "object"
---| "service"

test.MockType = {
  FUNCTION = "function",
  OBJECT = "object",
  SERVICE = "service",
}

---Makes a scenario known by id and name: a function, or steps that are run one after the other. A step is a function, or it runs an agent, a tool, a workflow or a provider, and says what it expects: AssertType.EQUALS compares as assert_equals, CONTAINS as assert_contains, MATCHES looks for a Lua pattern, or for `{regex="…"}`, in a text, and THROWS wants an error with that code, or with that text in its message. Functions get `ctx`: `{scenario={id, name, description, tags}, fixtures, mocks, results}`, the same table for all of them; `results` has the results of earlier steps, in order and by name.
---@param definition function|zigllms.TestScenario a function or a table
---@return string scenario_id
function test.create_scenario(definition) end

---Runs a scenario: mocks, fixtures, `setup`, the steps, `teardown`; the teardown always runs, and mocks and fixtures always end. An assertion that fails raises nothing here: the step and the scenario are "failed", and "error" if anything else was raised. A step that runs into its time limit is failed with an error of code `timeout`. `total`, `passed`, `failed` and `skipped` count steps. Waits; if it is cancelled, the teardown runs, and `err.partial` is the result so far.
---
---Errors: invalid_argument, not_found, cancelled, timeout
---@param scenario_id string the id or name of a scenario
---@param options? zigllms.TestRunOptions a table
---@return zigllms.TestResult result
function test.run_scenario(scenario_id, options) end

---Raises `assertion_failed` unless two values are equal. Tables are equal if they have equal members, however deep, also in cycles; `__eq` is asked, other metatables and fields behind `__index` are not. Numbers are equal by value, also 1 and 1.0, and NaN equals NaN; functions, threads and userdata are equal to themselves. The message names the first difference: `at .steps[2].status: expected "ok", got "failed"`, with `message` before it. `details` of the error has `path`, `expected`, `actual` and, if there are more, up to 20 `differences`.
---
---Errors: invalid_argument, assertion_failed
---@param actual any a value
---@param expected any a value
---@param message? string a string
---@return true equal
function test.assert_equals(actual, expected, message) end

---Raises `assertion_failed` unless the first value contains the second one: a text that plain text, an array an element that is equal to it, a map all members of a table, however deep (an array among them has the same length), or a map the key that a text names. The error is that of assert_equals.
---
---Errors: invalid_argument, assertion_failed
---@param haystack any a value
---@param needle any a value
---@param message? string a string
---@return true contained
function test.assert_contains(haystack, needle, message) end

---A function, an object or a service that stands for another one and remembers its calls. A function mock is called like a function, and can be a tool's or a hook's function; an object has its methods as fields, called with `:` or `.`. All have `id`, `name` and `type`; `calls()`, an array of `{args, ok, result, results, error?, method?}`, where `args` and `results` have `n` and plain tables are copies of what they were; `call_count()`; `last_call()`; `called_with(…)`, whether one call had arguments equal to these; `reset()`, which forgets the calls and begins the sequence anew; and `restore()`, which ends it: a call after that raises `invalid_state`. Those of an object tell of all its methods, `object.method` of one. A service mock answers what a provider is asked, without network and key: the provider of an id or name, or every one of a type; the latest mock counts, before any `transport`. Errors, retries, fallbacks, streams, limits, hooks and caches are those of a real server; `network` and `timeout` break the connection, and what a function raises is the error of the request. Texts are embedded, models listed and tokens counted by the mock itself. Its `calls()` are requests without secrets: `{kind, model, messages, tools, options, texts, stream, provider_id, dialect, method, url, headers, body}`, where `kind` is "chat", "embed", "models" or "count" and `body` what would be sent; `called_with(part)` tells whether one has all that `part` has. After `restore()` the provider is asked again, or the mock before this one. With `transport="http"` a service is a real server on loopback, for any client, with or without a `provider`: `mock.base_url` is its address, with which every type of provider and the vendors' SDKs can do. Its responses may also be bytes and faults; those of neutral words answer chats. Its `calls()` are `{number, method, path, headers, body, raw, at_ms, gone_after_ms?, error?}`, the last 10000 and 64 MiB of bodies; `gone_after_ms` is there once the client has hung up without the whole answer; headers have names in lower case, `body` is decoded where it is JSON. A function runs while this Lua state waits for anything; its error is answered with 400, and stands in its call.
---
---Errors: invalid_argument, invalid_state
---@param definition zigllms.MockDefinition a table
---@return zigllms.Mock mock
function test.create_mock(definition) end

---Makes a fixture known by id and name, in place of one of that name: `setup_fixture(name, data)`, or a definition. It is set up right away, for its first use, and again for each further one; each setup has its teardown. Scenarios that ask for it have a deep copy of the data in `ctx.fixtures[name]`; functions and userdata in it stay themselves. Data of scope "scenario" that `setup` returned are that scenario's own, and not copied.
---
---Errors: invalid_argument, callback_error
---@param definition string|zigllms.TestFixture a non-empty string or a table
---@param data? any a value
---@return string fixture_id
---@return any data
function test.setup_fixture(definition, data) end

---Runs scenarios and tests, one after the other: those of the definition, an array of scenarios, or all there are, in the order they were created. A test is a scenario of one step. One that fails stops nothing, unless there is `bail`. `results` has the result of each, as run_scenario returns it; `failed` counts those with errors, too. A failing `before_all` or `after_all` is a result of that name. With `coverage` the result has what get_coverage reports, of this run alone, and the report a line of it. `report` is the text of the reporter: "text" to read, "tap" (version 13), "json" or "junit" (XML). Waits.
---
---Errors: invalid_argument, not_found, cancelled, timeout
---@param definition? (string|function|zigllms.TestScenario)[]|zigllms.TestSuite an array (a string or a function or a table each) or a table
---@return zigllms.TestSuiteResult result
function test.run_suite(definition) end

---What was used since the module was loaded, or since `{reset=true}`; `zigllms.reset()` does not change it. `functions` of the bridges: `{total, called, percent, by_bridge = {agent = {total, called, percent, functions = {create = 3, …}, missing = {…}}}, extras}`: the 86 functions that make the ten bridges; `extras` has those that came along, by their full names. `tools` `{registered, executed, percent, missing}` and `agents` `{created, run, percent, missing}` by their names (at most 10,000 of each). `workflows` by id: `{name, steps_total, steps_executed, percent, missing, branches}` (at most 1,000), where `branches` says of each step that decides which ways were taken: `["then"]` and `["else"]`, `run` and `skip`, `body`, or the ids of the steps to choose from. All of these also if they have gone. `events` `{emitted, handled}`: calls of `event.emit` and of handlers. `hooks` `{registered, fired, percent}`. `lines` if they are counted: `{["file.lua"] = {[12] = 3}}`; LuaJIT does not see lines that it has compiled, other engines not those of coroutines that you create yourself. A debug hook of somebody else, as luacov's, is left alone: then `lines=true` is invalid_state.
---
---Errors: invalid_argument, invalid_state, unsupported
---@param options? zigllms.CoverageOptions a table
---@return table report
function test.get_coverage(options) end

---Ends the step it is called in, which is skipped; in `setup` and `before_each` the whole scenario, in `before_all` all of them. It raises, so nothing after it is carried out.
---
---Errors: invalid_argument, invalid_state
---@param reason? string a string
function test.skip(reason) end

---Calls fn and gives what it returns. What providers, `http_request` and MCP servers behind HTTP are asked meanwhile, and what they answer, is recorded in a file, in pieces and with times; a replay takes the answers from there, with no network and no waiting, failures and pauses before another attempt included. A request takes the first recorded one that it equals and that was not taken before: method, URL without the port of this machine, and body, whatever the order of its keys. One that is not there fails with invalid_state and says where it differs. No secret is recorded: `<secret>` stands for what is known as a key, a token or a password, however it is written, and for anything in a replay. The file is written when fn has returned; if fn fails, what was there stays. A changed file is refused: io_error, `details.reason` "corrupt" and `details.line`. fn is given `{mode, path, recorded_at}`: the time of the recording, for those who write the date into a prompt. One cassette runs at a time.
---
---Errors: invalid_argument, invalid_state, io_error
---@param path string a non-empty string
---@param fn function a function
---@param options? zigllms.CassetteOptions a table
---@return any results
function test.cassette(path, fn, options) end

---Calls `fn(clock)` in virtual time and returns its results: time stands still, and leaps to the next deadline as soon as everything waits. That is so for whatever takes time here: sleeps, timeouts, retries, rate limits, TTLs, leases, delay steps. While something real is under way (a request, a process, a store, a wait in the host's own way) time runs as ever and does not leap. `clock:now()` is in milliseconds; `clock:advance(ms)` moves time on at once, through all that falls due on the way, in order. What `fn` leaves running goes on in real time; `os.time` and `os.clock` stay real. One at a time. Waits.
---
---Errors: invalid_argument, invalid_state, callback_error
---@param fn function a function
---@return any ...
function test.clock(fn) end

---JSON Schema: checks data, makes data fit, and makes schemas. A schema is a JSON Schema as a table or as JSON text, the short form `{name="string", age="integer?", tags={"string"}}`, a boolean, the id or name of a created schema, or a compiled one.
---@class zigllms.schema
local schema = {}
zigllms.schema = schema

---@alias zigllms.schema.Type
---| "object"
---| "array"
---| "string"
---| "number"
---| "boolean"
---| "null"
---| "integer"

schema.Type = {
  OBJECT = "object",
  ARRAY = "array",
  STRING = "string",
  NUMBER = "number",
  BOOLEAN = "boolean",
  NULL = "null",
  INTEGER = "integer",
}

---@alias zigllms.schema.Format
---| "email"
---| "uri"
---| "date"
---| "uuid"

schema.Format = {
  EMAIL = "email",
  URI = "uri",
  DATE = "date",
  UUID = "uuid",
}

---Says whether data fit a schema, and everything that is wrong: `{valid, errors, error_count}`, each error `{path, message, keyword, schema_path, expected, actual}` with JSON pointers. Data that do not fit are no error; the result is a table, so test `.valid`. An empty table is an array where one is wanted.
---
---Errors: invalid_argument, validation_failed, not_found, unsupported, conversion_error
---@param data any a value
---@param schema zigllms.Schema a schema (table, JSON text, id or name)
---@param options? zigllms.ValidateOptions a table
---@return zigllms.ValidationResult result
function schema.validate(data, schema, options) end

---The schema that an example follows: types, properties (all required), items merged over all elements, alternatives as `anyOf`.
---
---Errors: invalid_argument, conversion_error
---@param example any a value
---@param options? zigllms.GenerateOptions a table
---@return table schema
function schema.generate(example, options) end

---A copy of the data with members turned into what the schema wants, and JSON pointers to what was changed: strings become numbers (`"12"`), numbers and booleans strings, `true/yes/on/1` and `false/no/off/0` booleans, null the default, a single value a list, JSON text an object or array; texts lose the space around them, and defaults are filled in.
---
---Errors: invalid_argument, validation_failed, not_found, unsupported, conversion_error
---@param data any a value
---@param schema zigllms.Schema a schema (table, JSON text, id or name)
---@param options? zigllms.CompileOptions a table
---@return any value
---@return string[] changed
function schema.coerce(data, schema, options) end

---What the schema describes, and nothing else. Of a table: its described members, coerced, with defaults. Of a text, as models write them: the JSON in it that fits best, mended and aligned to the schema (keys and enum words in other spellings, numbers among words, a single value for a list, …). No model is asked.
---
---Errors: invalid_argument, validation_failed, not_found, unsupported, conversion_error
---@param data any a value
---@param schema zigllms.Schema a schema (table, JSON text, id or name)
---@param options? zigllms.ExtractOptions a table
---@return any value
function schema.extract(data, schema, options) end

---One schema out of any number: `merge(schema1, schema2, …, options?)`. Properties are merged recursively, required ones united, enums intersected, of two bounds the tighter one is taken, and where schemas contradict each other the later one wins. A last table that has nothing but `strategy` is the options.
---
---Errors: invalid_argument, validation_failed, not_found, conversion_error
---@param schemas any a value
---@param options? zigllms.MergeOptions a table
---@return table schema
function schema.merge(schemas, options) end

---Makes a schema known by an id, by its `name` (the definition's member of that name, or the option) and by its `$id`. Other schemas refer to it by name or `$id`; a `$ref` to one that is not there yet is found when it is. The short form `{name="string", age="integer?", tags={"string"}}` is an object of those members.
---
---Errors: invalid_argument, validation_failed, already_exists, not_found
---@param definition zigllms.Schema a schema (table, JSON text, id or name)
---@param options? zigllms.CreateOptions a table
---@return string schema_id
function schema.create(definition, options) end

---A schema compiled once, to be used many times: `:check(data)`, `:validate(data)`, `:coerce(data)`, `:extract(data)` and `.schema`. It is taken wherever a schema is.
---
---Errors: invalid_argument, validation_failed, not_found, unsupported
---@param schema zigllms.Schema a schema (table, JSON text, id or name)
---@param options? zigllms.CompileOptions a table
---@return zigllms.CompiledSchema compiled
function schema.compile(schema, options) end

---What a schema says: `{id, name, type, title, description, properties, required, property_count, depth, keywords, refs, formats, compiled, dialect}`; lists are sorted, `depth` counts schemas inside each other, `compiled` says whether it is a compiled one, or a created one that was used before.
---
---Errors: invalid_argument, not_found, validation_failed
---@param schema zigllms.Schema a schema (table, JSON text, id or name)
---@return table info
function schema.get_info(schema) end

---Whether data fit a schema; if not, also one line that says what is wrong.
---
---Errors: invalid_argument, validation_failed, not_found, unsupported, conversion_error
---@param data any a value
---@param schema zigllms.Schema a schema (table, JSON text, id or name)
---@param options? zigllms.CompileOptions a table
---@return boolean valid
---@return string? message
function schema.check(data, schema, options) end

---What programs and agents remember: values by scope, owner and key, for a while or for good.
---@class zigllms.memory
local memory = {}
zigllms.memory = memory

---@alias zigllms.memory.Type
---| "short_term"
---| "long_term"
---| "persistent"

memory.Type = {
  SHORT_TERM = "short_term",
  LONG_TERM = "long_term",
  PERSISTENT = "persistent",
}

---@alias zigllms.memory.Scope
---| "global"
---| "agent"
---| "session"

memory.Scope = {
  GLOBAL = "global",
  AGENT = "agent",
  SESSION = "session",
}

---Keeps a copy of a value, in the place of what the key had: value, type and life. Strings may be any bytes; nil deletes. False only with `if_absent`, when the key is there. With `embed` it waits for the provider, whose errors are those of `provider.embed`, and keeps nothing if that fails.
---
---Errors: invalid_argument, conversion_error, aborted_by_hook, io_error, invalid_state, not_found, cancelled
---@param key string|number a non-empty string or a number
---@param value? any a value
---@param options? zigllms.StoreOptions a table
---@return boolean stored
---@overload fun(key: string|number, value?: any, options: { async: true }): zigllms.Handle
function memory.store(key, value, options) end

---A fresh copy of the value, or `default`, or nil; and of an entry that has them its `tags` and `metadata`. With scope "agent" the key "conversation" is the agent's messages, "conversation:NAME" those of a session: `store` sets them, `delete` clears them, and they are no entries that `list_keys` shows.
---
---Errors: invalid_argument, io_error, cancelled, hook_error
---@param key string|number a non-empty string or a number
---@param options? zigllms.RetrieveOptions a table
---@return any value
---@return table? about
---@overload fun(key: string|number, options: { async: true }): zigllms.Handle
function memory.retrieve(key, options) end

---Forgets an entry; true if there was one.
---
---Errors: invalid_argument, io_error, cancelled
---@param key string|number a non-empty string or a number
---@param options? zigllms.MemoryScope a table
---@return boolean existed
---@overload fun(key: string|number, options: { async: true }): zigllms.Handle
function memory.delete(key, options) end

---Keys in order, those of the scope "global" unless told; in the pattern `*` stands for any text and `?` for any character. With `detail` or scope "all", tables: `{key, scope, owner, type, expires_at, bytes, tags, metadata}`.
---
---Errors: invalid_argument, io_error, cancelled
---@param pattern? string a string
---@param options? zigllms.ListKeysOptions a table
---@return string[]|table[] keys
---@overload fun(pattern?: string, options: { async: true }): zigllms.Handle
function memory.list_keys(pattern, options) end

---Forgets entries: without options those of every scope, type and owner, in the store too. Conversations of agents stay, and so do snapshot files.
---
---Errors: invalid_argument, io_error, cancelled
---@param options? zigllms.ClearOptions a table
---@return true ok
---@return integer count
---@overload fun(, options: { async: true }): zigllms.Handle
function memory.clear(options) end

---`{total_keys, bytes, by_scope, by_type, hits, misses, hit_rate, expired, evicted, dirty, store, conversations}`: entries that lie in this process and in its store; `dirty` are those that no store holds though they are persistent, and writes that are queued.
---
---Errors: invalid_argument, io_error, cancelled
---@return table stats
function memory.get_stats() end

---Writes entries of all types and conversations to where they outlive the process, and returns how many once they survive a crash of the machine. With a path: a JSON snapshot, also of what lies in the store. The file is replaced as a whole, for its owner only to read; a symbolic link is replaced, not followed; if it fails the old file is as it was. Without a path: into the store, where persistent entries lie already and are not counted. What this process wrote there before is replaced; for others it is nothing but what `load` finds. Waits.
---
---Errors: invalid_argument, invalid_state, io_error, cancelled
---@param path? string a non-empty string
---@param options? zigllms.PersistOptions a table
---@return true ok
---@return integer count
---@overload fun(path?: string, options: { async: true }): zigllms.Handle
function memory.persist(path, options) end

---Reads what `persist` wrote, from a snapshot or from the store: all of it or, where it fails, nothing. What is loaded goes over what is there; expired entries are left out, and of the store those that have since become persistent. Conversations go to the agents of their names, also to those that are created later. Returns how many entries and conversations it read. A file that is not there is an `io_error` with the reason "not_found". Waits.
---
---Errors: invalid_argument, invalid_state, io_error, parse_failed, unsupported, cancelled
---@param path? string a non-empty string
---@param options? zigllms.LoadOptions a table
---@return true ok
---@return integer count
---@overload fun(path?: string, options: { async: true }): zigllms.Handle
function memory.load(path, options) end

---Keeps several values at once: a table of keys and values, or an array of `{key, value, options}`, whose options go over those of the call. All arguments are checked before anything is kept. With `embed` one question to the provider is for all.
---
---Errors: invalid_argument, conversion_error, io_error, invalid_state, not_found, cancelled
---@param entries any a value
---@param options? zigllms.StoreOptions a table
---@return integer count
---@overload fun(entries: any, options: { async: true }): zigllms.Handle
function memory.store_many(entries, options) end

---The values of several keys as a table from key to value; what is not there is not in it.
---
---Errors: invalid_argument, io_error, cancelled
---@param keys (string|number)[] an array (a non-empty string or a number each)
---@param options? zigllms.MemoryScope a table
---@return table values
---@overload fun(keys: (string|number)[], options: { async: true }): zigllms.Handle
function memory.retrieve_many(keys, options) end

---Reads, changes and writes an entry as one: `fn(old)` returns the new value, nil deletes it. If somebody else was faster, `fn` runs again with what is there now, so it must not wait. Type, life and tags of an entry that is there stay. Atomic for all processes and machines that share the store.
---
---Errors: invalid_argument, conversion_error, callback_error, io_error, cancelled
---@param key string|number a non-empty string or a number
---@param fn function a function
---@param options? zigllms.ChangeOptions a table
---@return any value
---@overload fun(key: string|number, fn: function, options: { async: true }): zigllms.Handle
function memory.update(key, fn, options) end

---Adds to a number, 1 unless told; what is not there counts as 0. Atomic as `update`.
---
---Errors: invalid_argument, invalid_state, io_error, cancelled
---@param key string|number a non-empty string or a number
---@param by? number a number
---@param options? zigllms.ChangeOptions a table
---@return number value
---@overload fun(key: string|number, by?: number, options: { async: true }): zigllms.Handle
function memory.increment(key, by, options) end

---The entries whose embeddings are most like a vector, or the vector of a text, the best first: an array of `{key, value, score, scope, owner, tags, metadata}`. `score` is the cosine, every embedding is compared, of equal ones that with the first key comes first. A text is sent to the provider of `configure{memory={embed_provider=, embed_model=}}`; errors are those of `provider.embed`. Vectors of another number of dimensions are passed over; if all are such, it is an error.
---
---Errors: invalid_argument, invalid_state, not_found, unsupported, io_error, cancelled
---@param query string|(number)[] a non-empty string or an array (a number each)
---@param options? zigllms.SearchOptions a table
---@return table[] found
---@overload fun(query: string|(number)[], options: { async: true }): zigllms.Handle
function memory.search(query, options) end

---Functions around operations: they change what goes in and what comes out, or say no.
---@class zigllms.hook
local hook = {}
zigllms.hook = hook

---@alias zigllms.hook.Type
---| "pre"
---| "post"
---| "around"
---| "error"

hook.Type = {
  PRE = "pre",
  POST = "post",
  AROUND = "around",
  ERROR = "error",
}

---@alias zigllms.hook.Priority
---| "highest"
---| "high"
---| "normal"
---| "low"
---| "lowest"

hook.Priority = {
  HIGHEST = "highest",
  HIGH = "high",
  NORMAL = "normal",
  LOW = "low",
  LOWEST = "lowest",
}

---Calls `callback(context)` at a point: `agent_init`, `agent_before_run`, `agent_after_run`, `agent_error`, `agent_cleanup`, `tool_before_execute`, `tool_after_execute`, `tool_error`, `provider_before_request`, `provider_after_response`, `provider_error`, `memory_before_save`, `memory_after_load`, `workflow_start`, `workflow_complete`, `workflow_error`, `workflow_step_start`, `workflow_step_complete`, `workflow_step_error`; around an operation: `agent_run`, `tool_execute`, `provider_request`, `memory_save`, `memory_load`, `workflow_execute`, `workflow_step`; at a name of your own, which hook.execute calls; or at all that a glob stands for (`tool_*`). The third argument may be the priority alone; one table with name, callback and options does as well. Where the type is not said the name tells it: `_before_`, `_init` and `_start` are PRE, `_error` is ERROR, operations are AROUND, all else is POST. `context` holds `data` (the working value), `input`, `result` and `output` (POST), `error` (ERROR), the ids of what it is about, `hook`, `point`, `type`, `hook_id`, `metadata`, `timestamp`, `elapsed_ms`, `index` and `total`. What the hook returns, or assigns to `context.data`, `input` or `result`, is the new value; nil changes nothing. `false` from PRE, with a reason or without, is a veto: the operation raises `aborted_by_hook`. What `agent_after_run` changes is the response alone; the conversation gets what `provider_after_response` left, and what was streamed is out. An AROUND hook gets `next(data?)` as well, which performs the operation, at most once and only while the hook runs, and returns the result or raises the error; what the hook returns is the result. What `next` has done stays done where the hook raises after it: an agent's turn is in its conversation. What an ERROR hook returns stands for the result that is missing. Errors in PRE and AROUND end the operation with `hook_error`; in POST and ERROR they are counted and told as event `hook.failed`. Hooks may wait. A hook that is registered while an operation runs counts from the next one; one that is disabled or unregistered is called no more.
---@param name string|zigllms.HookOptions a non-empty string or a table
---@param callback? fun(context: zigllms.HookContext, next?: fun(data?: any): any): any, string? a function
---@param options? number|"highest"|"high"|"normal"|"low"|"lowest"|zigllms.HookOptions a number or one of "highest", "high", "normal", "low", "lowest" or a table
---@return string hook_id
function hook.register(name, callback, options) end

---Forgets a hook; it is called no more, also by operations under way.
---@param hook_id string the id or name of a hook
---@return boolean existed
function hook.unregister(hook_id) end

---Lets a disabled hook run again.
---@param hook_id string the id or name of a hook
---@return boolean exists
function hook.enable(hook_id) end

---Keeps a hook from being called until it is enabled.
---@param hook_id string the id or name of a hook
---@return boolean exists
function hook.disable(hook_id) end

---Calls the enabled hooks of a name, or one hook by its id, in the order PRE, AROUND, POST, ERROR; each gets the data that the one before it left. `{hook, hooks_executed, executed, data, aborted, results = {{hook_id, ok, value?, error?, duration_ms}}}`. Without hooks the data are unchanged. It raises nothing that a hook raises: an error is in `results` and the others go on; a veto ends it with `aborted` set. Hooks for one object run if the data say so in `agent_id`, `tool_id` or `workflow_id`. At most 64 calls are nested.
---
---Errors: invalid_argument, not_found, invalid_state
---@param name string the id or name of a hook
---@param data? any a value
---@return zigllms.HookResult result
function hook.execute(name, data) end

---The hooks in the order in which they run: `{id, name, label?, type, priority, enabled, call_count}`. With a name those that it stands for: `*` is any text, and hooks that are registered for a glob are among those of each name it stands for.
---@param name? string|zigllms.ListFilter a string or a table
---@return zigllms.Hook[]|string[] hooks
function hook.list(name) end

---What `list` tells and `error_count`, `avg_time_ms` (with what it waited for, or ran), `last_called_at`, `last_error`, `metadata`, `created_at` and the options that are set.
---
---Errors: invalid_argument, not_found
---@param hook_id string the id or name of a hook
---@return zigllms.Hook info
function hook.get_info(hook_id) end

---Makes one hook of several, which stay as they are; it goes on when they are gone. "sequential" gives each what the one before it left (AROUND hooks are nested), "parallel" gives all the same and leaves an array of what each made of it, "first" stops at the first that returns a value. Where one of them fails, so does the whole. Without a name only hook.execute runs it.
---
---Errors: invalid_argument, not_found
---@param hook_ids (string)[] an array (the id or name of a hook each)
---@param how? "sequential"|"parallel"|"first"|zigllms.ComposeOptions one of "sequential", "parallel", "first" or a table
---@return string hook_id
function hook.compose(hook_ids, how) end

---Reads what models write, as they write it, and writes what they read.
---@class zigllms.output
local output = {}
zigllms.output = output

---@alias zigllms.output.Format
---| "json"
---| "yaml"
---| "xml"
---| "markdown"
---| "plain"

output.Format = {
  JSON = "json",
  YAML = "yaml",
  XML = "xml",
  MARKDOWN = "markdown",
  PLAIN = "plain",
}

---@alias zigllms.output.Recovery
---| "strict"
---| "lenient"
---| "best_effort"

output.Recovery = {
  STRICT = "strict",
  LENIENT = "lenient",
  BEST_EFFORT = "best_effort",
}

---Reads a text into a Lua value, as strictly as `recovery` says: "strict" takes one valid document that is the whole text; "lenient" also what can be put right without losing anything, in a fence or between sentences; "best_effort" whatever there is. The second result tells what was repaired. JSON and YAML give their values, with nulls, and with marks on arrays and empty objects; XML gives `{root=…}`, attributes as "@name", text beside them as "#text", elements of one name as an array; Markdown what `extract_markdown` gives; plain text is trimmed. Without a format it is found out, and prose is no document. The response of an agent or provider is read for its content; any other table is returned as it is. With a schema, the text is read as it asks: the document that fits it best, aligned to it.
---
---Errors: invalid_argument, parse_failed, validation_failed, not_found, unsupported
---@param text string|table a string or a table
---@param format_or_options? "auto"|"json"|"yaml"|"xml"|"markdown"|"plain"|zigllms.ReadOptions one of "auto", "json", "yaml", "xml", "markdown", "plain" or a table
---@return any value
---@return zigllms.ReadInfo info
function output.parse(text, format_or_options) end

---Writes a value as text. JSON and YAML read back as the same value; YAML, XML, Markdown and plain text have their members sorted, so the text is the same in every run. XML is written the way `parse` gives it: "@name" becomes an attribute, "#text" text, an array repeats its element. Markdown shows an array of objects as a table, members as a list, members that hold others as sections.
---
---Errors: invalid_argument, conversion_error
---@param value any a value
---@param format? "json"|"yaml"|"xml"|"markdown"|"plain" one of "json", "yaml", "xml", "markdown", "plain"
---@param options? zigllms.WriteOptions a table
---@return string text
function output.format(value, format, options) end

---What a text is: it is read as everything it could be. The info is `{confidence, candidates, fenced, language?, inner?}`: how sure that is, from 0 to 1; all it could be, the likeliest first, as `{format, confidence}`; whether it has a code fence, the language that names, and the format of what is in the first one. A sentence with a colon is plain text, JSON in a fence is Markdown.
---@param text string|table a string or a table
---@return string format
---@return zigllms.FormatInfo info
function output.detect_format(text) end

---Whether a text is one valid document of a format, strictly. What is wrong with it is in `errors`, with line, column and offset; bad texts do not raise. Any text is valid Markdown and plain text. The result is a table, so test its `valid`.
---@param text string|table a string or a table
---@param format "json"|"yaml"|"xml"|"markdown"|"plain" one of "json", "yaml", "xml", "markdown", "plain"
---@return zigllms.FormatResult result
function output.validate_format(text, format) end

---The object or array in a text: one in a code fence, else the first that is complete; one that holds more than bare numbers before `[1]` and `{}`. With a schema, the first that is valid by it. Strings are respected, scalars are not looked for. nil, and nothing more, if there is none. With `all=true` an array of all that stand in no other, in order; `info.positions` then says where each one stands.
---
---Errors: invalid_argument, validation_failed, not_found, unsupported
---@param text string|table a string or a table
---@param options? zigllms.ExtractOptions a table
---@return any value
---@return zigllms.ReadInfo? info
function output.extract_json(text, options) end

---What a Markdown text holds, by block structure as CommonMark has it, with GitHub's tables: `{sections, code_blocks, tables, lists, links, text, front_matter?}`. Sections are one for each heading, with the source up to the next heading beside it. Code blocks are fenced and indented ones; the content ends with a line feed, the line is that of the fence. Rows of a table are keyed by its headers. Each list stands for itself, nested ones too; items are text without markup. Links are those that lead somewhere; images are none. `text` is everything there is to read, without markup.
---@param text string|table a string or a table
---@param options? zigllms.MarkdownOptions a table
---@return zigllms.MarkdownParts parts
function output.extract_markdown(text, options) end

---Reads the JSON in a text whatever is wrong with it: `parse` with `recovery="best_effort"`, which the options cannot lower. `info.text` is the document as it should have been written. Several documents become an array; a text without any is a string, or an error with `prose="error"`. Two libraries that people know are matched best by `{missing="null"}` (jsonrepair) and `{missing="empty", prose="error"}` (json_repair). Raises for an empty text.
---
---Errors: invalid_argument, parse_failed
---@param text string|table a string or a table
---@param format_or_options? "auto"|"json"|"yaml"|"xml"|"markdown"|"plain"|zigllms.ReadOptions one of "auto", "json", "yaml", "xml", "markdown", "plain" or a table
---@return any value
---@return zigllms.ReadInfo info
function output.recover(text, format_or_options) end

---A format described: `{format, mime_type, extensions, schema, parse_options, format_options}`. The last three are JSON Schemas: of what `parse` gives, of its options, of those of `format`.
---@param format "json"|"yaml"|"xml"|"markdown"|"plain" one of "json", "yaml", "xml", "markdown", "plain"
---@return table description
function output.get_schema(format) end

---Reads a document while it arrives. `stream:push(chunk)` gives the value so far and whether it is complete; `stream:finish()` gives the value and the information that `parse` gives, and raises as it does. The value so far of JSON is one table that grows in place: members appear when they begin, strings grow, numbers and literals appear when they end. Text before the first bracket is skipped. Where the text turns out to be no valid JSON the value stays as it is, and `finish` repairs. Plain text grows; other formats have their value at the end.
---
---Errors: invalid_argument, parse_failed, validation_failed, invalid_state
---@param format? "json"|"yaml"|"xml"|"markdown"|"plain" one of "json", "yaml", "xml", "markdown", "plain"
---@param options? zigllms.ReadOptions a table
---@return zigllms.Stream stream
function output.stream(format, options) end

---Makes a function that reads single values out of texts: one path as `choices[1].message.content`, or an array of at most 200. It returns their values in that order, without a table around them: nil where there is none, `zigllms.null` for null. This is the cheapest way to one value of a JSON text: the rest is checked and skipped. The options, which are those of `parse`, are kept; the function raises and repairs as `parse` does with `fields`, and its calls count as that function's.
---
---Errors: invalid_argument, parse_failed
---@param paths string|(string)[] a non-empty string or an array (a non-empty string each)
---@param options? zigllms.ReaderOptions a table
---@return fun(text: string|table): ...any read
function output.reader(paths, options) end

---The tool calls that a model printed as text: `{name, arguments, raw, start, stop}` for each, and the text without them. Known are the tags, marks and shapes of Hermes, Qwen, Llama, Mistral, DeepSeek, Kimi, GLM, Granite, Phi, Cohere, Gemma, GPT-OSS, Functionary, Anthropic's XML and ReAct, fences of JSON, lists of Python calls, and bare JSON with a name and arguments. Arguments are repaired like `recover` does, also where they are JSON text in a string; null members are left out. With `tools` only calls of these are taken, and in more shapes.
---@param text string|table a string or a table
---@param options? zigllms.ToolCallOptions a table
---@return table[] calls
---@return string rest
function output.extract_tool_calls(text, options) end

---Results that are kept, so that they need not be computed, or asked for, again: configured by `configure{cache=}`. A result is never stale: it goes when anything changes that it was made from, and answers of others after `ttl_ms`. With `configure{store=}`, answers of `provider.chat` and `provider.embed` lie in the store, too, with their questions, and any process gets them that asks the same of the same provider; what a `transport` or a tool answers stays in its process. Each hit is a fresh table. Two equal calls at the same time are both made.
---@class zigllms.cache
local cache = {}
zigllms.cache = cache

---Drops all results, or those of the functions whose names match: `*` stands for any text, as in "schema.*". Says how many those were. Answers of `provider.chat` and `provider.embed` go from the store, too, for all processes; they are not counted.
---
---Errors: invalid_argument, io_error
---@param pattern? string a non-empty string
---@return integer dropped
function cache.clear(pattern) end

---How often the cache has helped: `{enabled, entries, bytes, hits, misses, evictions, expired, invalidated, by_function, store}`. Only calls whose results could be kept are counted. An answer found in the store is a hit; `store = {hits, misses, failures}` tells of the questions to it.
---@return zigllms.CacheStats stats
function cache.stats() end

return zigllms
