-- Writes what can be told from the module's own tables: the LuaCATS stubs (types/zigllms.lua), the
-- reference (doc/reference.md) and the :help file (doc/zigllms.txt).
--
--   lua5.4 tools/docs.lua            writes the three files
--   lua5.4 tools/docs.lua --check    fails if one of them is stale, or if a function lacks its
--                                    description, its example or a spec that calls it
--
-- Run it from the root of the repository, with the module on LUA_CPATH.
local reference = require("zigllms.reference")

local concat, format, insert, unpack = table.concat, string.format, table.insert, table.unpack

-- What the tables do not hold: the values that functions return, the members of a handle, and when
-- an error is raised. The specs compare them with what the module really gives. Two spaces separate
-- columns; a type that ends in `?` may be absent.
local RESULTS = [[
Response: An answer of a model, or of an agent's run. `tostring(response)`, `print(response)` and
    `..` use its content.
  content  string  the text; empty if there is none
  role  "assistant"
  finish_reason  string  stop, length, tool_calls, content_filter, max_iterations, budget_exceeded,
    approval_required, cancelled, pause or unknown
  native_finish_reason  string?  the provider's own word for it
  usage  zigllms.Usage  of all requests of the call
  tool_calls  zigllms.ToolCall[]  `provider`: what the model asks for; `agent.run`: what
    was executed
  model  string?  as the provider names it
  provider  string  id of the provider that answered
  id  string?  the provider's id of the answer
  created  number  Unix seconds
  attempts  integer  requests made, failed ones included
  request_id  string?  for the provider's support
  ttft_ms  number?  time to the first content
  thinking  string?  of models that show it
  parsed  any  structured output: the value, checked against its schema
  structured  string?  structured output, who saw to it: strict (the server, to the schema), json
    (the server, to JSON) or prompted (the model was asked to)
  cost  number?  by the `prices` of the provider, in their currency
  raw  table?  the provider's own document, with `raw=true`
  message  zigllms.Message?  `provider`: to be appended to the messages as it is
  latency_ms  number?  `provider`: time of the call
  cached  true?  `provider`: kept from an earlier call, with its usage; nobody was asked
  duration_ms  number?  `agent.run`: time of the run
  iterations  integer?  `agent.run`: rounds of model and tools
  messages  zigllms.Message[]?  `agent.run`: the new messages of this turn
  pending_tool_calls  zigllms.ToolCall[]?  `agent.run`: calls that wait for `agent.resume`, or of
    tools that have no `execute`, for the next run
  unseen_messages  zigllms.Message[]?  `agent.run`: what `agent.send` said and no model has seen
  agent_id  string?  `agent.run`
  metadata  table?  `agent.run`: as it was given

Chunk: A piece of an answer on its way. What came since the last delivery is one chunk.
  content  string  new text; may be empty
  delta  string  the same as `content`
  index  integer  1, 2, 3, …
  done  boolean  true on the last chunk only
  thinking  string?  new text of the model's thinking
  tool_calls  zigllms.ToolCallDelta[]?  fragments of tool calls
  tool_result  zigllms.ToolCall?  agent runs: a tool has answered
  iteration  integer?  agent runs: the round it belongs to
  finish_reason  string?  on the last chunk
  usage  zigllms.Usage?  on the last chunk

Usage: Tokens of one or more requests.
  prompt_tokens  integer  cached ones included
  completion_tokens  integer
  total_tokens  integer
  cached_tokens  integer?  read from the provider's prompt cache
  cache_write_tokens  integer?  written to it
  reasoning_tokens  integer?  spent on thinking
  estimated  true?  counted here (bytes / 4): the provider did not tell
  cost  number?  as far as there are prices

Embeddings: Vectors of texts.
  embeddings  number[][]  one for each text, in their order
  dimensions  integer  numbers in each of them
  model  string  as the provider names it
  provider  string  id of the provider that answered
  usage  zigllms.Usage  of all requests of the call
  cost  number?  by the `prices` of the provider
  cached  true?  kept from an earlier call, with its usage; nobody was asked

ToolCall: A model's wish to have a tool called and, in agent runs, what came of it.
  id  string  names the call in the conversation
  name  string  of the tool
  arguments  table?  absent if the model wrote no valid JSON
  arguments_json  string  exactly as the model wrote them
  type  "function"?  `provider`
  function  table?  `provider`: `{name, arguments}` as on the wire
  result  any  agent runs: what the tool returned
  error  string?  agent runs: why it failed; pending calls: why nobody could tell whether it
    needs approval
  duration_ms  number?  agent runs
  reason  "approval"|"client"?  pending calls: somebody has to agree, or the tool has no
    `execute`

ToolCallDelta: A fragment of a tool call in a chunk.
  index  integer  which call of the answer, from 1
  id  string?  with the first fragment
  name  string?  with the first fragment
  arguments  string  the next piece of the JSON text

Message: One message of a conversation.
  role  "system"|"user"|"assistant"|"tool"
  content  string|table[]  text, or parts such as `{type="text", text=}` and
    `{type="image_url", image_url={url=}}`
  name  string?  of the speaker
  tool_call_id  string?  messages of role tool: the call they answer
  tool_calls  zigllms.ToolCall[]?  messages of role assistant
  blocks  any  the provider's own blocks, to be sent back untouched

ToolContext: Second argument of a tool's function.
  tool_id  string
  name  string
  cancelled  fun(): boolean  whether the call around it was cancelled or has run out of time
  agent_id  string?  inside an agent's run
  call_id  string?  inside an agent's run
  workflow_id  string?  as a step of a workflow
  execution_id  string?  as a step of a workflow
  step_id  string?  as a step of a workflow
  idempotency_key  string?  as a step of a workflow: the same in every attempt at that step

ReadInfo: How a text was read.
  format  string  what it was read as
  recovered  boolean  whether anything was repaired
  fixes  string[]  names of the repairs made
  warnings  string[]  what may have been meant differently
  start  integer  where in the text the document begins, as in `string.sub`
  stop  integer  where it ends

Stream: A document that is read while it arrives: what `output.stream` returns.
  push  fun(self: zigllms.Stream, chunk: string): any, boolean  takes the next piece of the text;
    gives the value so far, and whether the document is complete
  finish  fun(self: zigllms.Stream): any, zigllms.ReadInfo  the value and how it was read; raises
    what `output.parse` raises; nothing can be pushed any more

FormatInfo: What a text may be.
  confidence  number  from 0 to 1
  candidates  table[]  `{format, confidence}`, the likeliest first
  fenced  boolean  whether it has a code fence
  language  string?  that the first fence names
  inner  string?  format of what is in the first fence

FormatResult: Whether a text is valid.
  valid  boolean
  format  string
  errors  table[]  `{message, line, column, offset}`

MarkdownParts: What a Markdown text holds.
  sections  table[]?  `{level, heading, content}`
  code_blocks  table[]?  `{language?, content, line}`
  tables  table[]?  `{headers, rows}`
  lists  table[]?  `{ordered, start?, level, items}`; nested ones with the `list` and `item`
    they are in
  links  table[]?  `{text, url, title?}`
  front_matter  table?  the YAML mapping it begins with
  text  string?  all there is to read, without markup

ValidationResult: Whether a value fits a schema. It is a table, so test `.valid`.
  valid  boolean
  errors  table[]  `{path, message, keyword, schema_path, expected?, actual?}`; paths are JSON
    pointers, "" is the value itself
  error_count  integer  of `errors`

CompiledSchema: A schema that is ready to be used: what `schema.compile` returns. It is taken
    wherever a schema is.
  schema  table  the JSON Schema it was made from
  validate  fun(self: zigllms.CompiledSchema, data: any): zigllms.ValidationResult  as
    `schema.validate`
  check  fun(self: zigllms.CompiledSchema, data: any): boolean, string?  as `schema.check`; the
    cheapest way to ask
  coerce  fun(self: zigllms.CompiledSchema, data: any): any, string[]  as `schema.coerce`
  extract  fun(self: zigllms.CompiledSchema, data: any): any  as `schema.extract`

CacheStats: How often results that were kept have helped.
  enabled  boolean
  entries  integer  results that are kept
  bytes  integer  that they and their questions take, about
  hits  integer
  misses  integer  of calls whose results could have been kept
  evictions  integer  results that made room for others
  expired  integer  whose time was over when they were asked for
  invalidated  integer  that were not true any more
  by_function  table<string, table>  `{hits, misses}`

Event: What a handler of events gets.
  id  string  `evt_N`
  type  string  its full name
  name  string  the same
  category  "system"|"user"|"agent"|"tool"|"workflow"
  priority  "low"|"normal"|"high"|"critical"
  data  any  what was emitted, as it is; that of the module's own events prints as JSON
  source  string  who emitted it: "user", or the bridge
  timestamp  number  Unix seconds
  correlation_id  string?  the same for all events of the module inside one operation
  tags  string[]?
  metadata  table?
  replayed  boolean?  whether it was recorded and comes again
  unrecorded  string[]?  replayed ones: paths of what could not be kept
  remote  boolean?  whether a bridge brought it
  origin  string?  remote ones: who published it
  position  string?  remote ones: where in the stream it stands, for `since`

Subscription: One of `event.list_subscriptions`.
  id  string
  pattern  string
  event_type  string  the same
  priority  "low"|"normal"|"high"|"critical"
  once  boolean
  has_filter  boolean
  call_count  integer
  error_count  integer  of its handler and its filter
  created_at  number  Unix seconds

HookContext: What a hook gets: a table of its own for each call.
  hook  string?  the name it is registered for
  hook_id  string
  type  zigllms.hook.Type
  point  string  where it runs now
  data  any  the working value: the input; of POST hooks the result
  input  any  what the operation was given
  result  any  POST hooks, and others once the operation has ended
  output  any  the same
  error  zigllms.Error?  ERROR hooks: why it failed
  index  integer  which of the hooks at this point it is
  total  integer  how many these are
  timestamp  number  Unix seconds
  elapsed_ms  number  since the operation began
  metadata  table?  of the hook
  agent_id  string?  whose run it is, or is part of
  agent_name  string?
  session  string?  of an agent's run
  first_run  true?  no run of the agent has begun before
  tool_id  string?
  tool_name  string?
  call_id  string?  of a tool that a model calls
  provider  string?  of a request
  model  string?  of a request
  operation  string?  of a request: chat, embed, …
  key  string?  of an entry of memory
  scope  string?
  owner  string?

Hook: One of `hook.list`, and what `hook.get_info` returns, which has all of it.
  id  string
  name  string?  the point, operation, name of your own or glob it is registered for
  label  string?  what the hook itself is called
  type  zigllms.hook.Type
  priority  number
  enabled  boolean
  call_count  integer
  error_count  integer?
  avg_time_ms  number?  with what it waited for, or ran
  last_called_at  number?  Unix seconds
  last_error  string?
  once  boolean?
  timeout_ms  number?
  description  string?
  metadata  table?
  created_at  number?  Unix seconds
  agent  string?  the one it is for
  tool  string?
  workflow  string?

HookResult: What `hook.execute` returns.
  hook  string  the name or id that was asked for
  hooks_executed  integer
  executed  integer  the same
  data  any  what the last hook left
  aborted  boolean  whether a PRE hook said no
  results  table[]  `{hook_id, ok, value?, error?, duration_ms}` of each that was called

Mock: What `test.create_mock` makes. Methods of an object mock are fields of it, mocks each.
  id  string
  name  string?
  type  zigllms.test.MockType
  base_url  string?  of a server: "http://127.0.0.1:PORT"
  calls  fun(self: zigllms.Mock): zigllms.MockCall[]  in the order in which they began
  call_count  fun(self: zigllms.Mock): integer
  last_call  fun(self: zigllms.Mock): zigllms.MockCall?
  called_with  fun(self: zigllms.Mock, ...: any): boolean  whether one had arguments equal to these
  reset  fun(self: zigllms.Mock)  forgets the calls; a sequence begins anew
  restore  fun(self: zigllms.Mock): boolean  ends it; false if it has ended before

MockCall: One call of a function mock. Plain tables in it are copies, as they were by then.
  args  table  an array, with `n`
  ok  boolean?  absent while it is under way
  result  any  the first one
  results  table?  an array, with `n`
  error  any  what it raised
  method  string?  of an object: its name

TestResult: What `test.run_scenario` returns: how a scenario has ended.
  id  string?  a test of a suite and a definition in one have none
  name  string
  status  "passed"|"failed"|"skipped"|"error"
  success  boolean  whether it is passed or skipped
  total  integer  steps
  passed  integer
  failed  integer  with those of status "error"
  skipped  integer
  duration_ms  number  with all that is before and after the steps
  error  zigllms.Error?  the first
  reason  string?  why it was skipped
  steps  zigllms.TestStepResult[]

TestStepResult: How a step of a scenario has ended.
  name  string
  status  "passed"|"failed"|"skipped"|"error"
  success  boolean  whether it is passed or skipped
  error  zigllms.Error?  `assertion_failed`, `timeout` of a limit, or what was raised
  reason  string?  why it was skipped
  actual_output  any  what it returned, or its action came to
  assertions  table[]  `{type, expected, success, message?, path?}` of what was expected of it
  duration_ms  number

TestSuiteResult: What `test.run_suite` returns.
  name  string
  success  boolean  whether none has failed
  total  integer  scenarios and tests
  passed  integer
  failed  integer  with those of status "error"
  skipped  integer
  duration_ms  number
  error  zigllms.Error?  the first
  results  zigllms.TestResult[]  in order
  coverage  table?  with `coverage=true`: the report of `test.get_coverage`, of this run alone
  report  string  as the reporter writes it

TestContext: What functions of a scenario get, the same table all of them.
  scenario  table  `{id?, name?, description?, tags}`
  suite  table?  what `before_all` got, while a suite runs
  fixtures  table<string, any>  the data of those it asks for
  mocks  table<string, zigllms.Mock>  those it defines
  results  table  results of steps that have ended, in order and by name

WorkflowResult: What `workflow.execute` returns: how an execution has ended, or where it is paused.
  workflow_id  string
  execution_id  string  of a durable execution: the id of its run
  name  string  of the workflow
  status  "completed"|"paused"|"failed"  "failed" with `on_error="return"` only
  output  any  of the last executed step; parallel: by step; loop: an array, of each iteration
  steps  table<string, zigllms.StepResult>  by their ids, the last end of each
  step_order  string[]  ids of the steps in the order in which they ended first
  usage  zigllms.Usage  of all that models were asked
  cost  number?  as far as there are prices
  iterations  integer?  of a loop
  break_reason  string?  of a loop: "condition_false", "max_iterations_reached",
    "iteration_error", "timeout", "explicit_break" or "completed_naturally"
  executed_branch  string?  conditional: "if_true", "if_false" or the id of the step
  pending  table?  paused before calls of agents that need a decision: `{step_id, agent_id,
    session?, execution_id, calls}`, and in its array the same of each agent
  error  zigllms.Error?  failed: why
  metadata  table?  as `execute` was given it
  started_at  number  Unix seconds
  finished_at  number?  Unix seconds; once it has ended
  duration_ms  number  without the time it was paused
  run_id  string?  durable
  recovered_steps  integer?  durable: steps that an earlier execution of the run has ended

StepResult: How a step has ended: in `result.steps`, and what `on_step` is called with.
  id  string?  `on_step` and `workflow.step`
  status  "completed"|"failed"|"skipped"|"cancelled"
  output  any  what it gave, or the `default` of one that failed
  response  zigllms.Response?  of an `agent_call`: all of it
  error  zigllms.Error?  failed: why
  attempts  integer  0: it never began
  started_at  number?  Unix seconds
  duration_ms  number?  with all attempts and the waits between them
  execution_id  string?  `workflow.step`
  execution_status  zigllms.workflow.Status?  `workflow.step`
  result  zigllms.WorkflowResult?  `workflow.step`: what `execute` would have returned

StepContext: What functions of a step get: `fn`, `input`, conditions.
  input  any  what this step works on
  workflow  table  `{id, name, execution_id, input}`
  previous  table  `{id?, output}` of the step before; without an id it is the workflow's input
  steps  table<string, zigllms.StepResult>  those that have ended, by their ids
  variables  table  shared by all steps, and may be written
  loop  table?  inside a loop or a map: `{index, first, last?, item?}`
  step_id  string
  attempt  integer?  from 1; nil where the step has yet to begin: in conditions, and as `input`
  idempotency_key  string?  the same in every attempt at this step, and at no other
  cancelled  fun(): boolean  whether the execution was cancelled or has run out of time
  break_loop  fun()|nil  inside a loop: this iteration is the last

ExecutionInfo: How an execution stands: what `workflow.get_status` returns beside the status.
  id  string?  of the workflow; nil where this process has none of that name
  execution_id  string?  nil: the workflow was never executed
  name  string  of the workflow
  status  zigllms.workflow.Status
  pattern  zigllms.workflow.Pattern?
  steps_count  integer?  steps of the workflow itself, without those inside of others
  completed_steps  integer?  steps that were completed, with those inside of others
  current_step  string?  id of the one that began last, while it runs
  progress  number?  from 0 to 1: how many of the workflow's own steps have ended
  started_at  number?  Unix seconds
  finished_at  number?  Unix seconds
  duration_ms  number?  without the time it was paused
  error  zigllms.Error?  failed or cancelled: why
  steps  table<string, zigllms.StepResult>  those that have ended, by their ids
  version  string?  of a run in the store
  owned  boolean?  of a run in the store: whether a process that lives has it
  owner  table?  of a run in the store: `{host, pid}` of the process that had it last

Error: What a failing call raises. `tostring(err)` is one line; `err:is(code)` compares the code.
  code  zigllms.ErrorCode  one word to match on
  message  string  which argument or option, what was expected, what came
  retryable  boolean  whether the same call may succeed later
  bridge  string?  "agent", "tool", …
  func  string?  the function that failed
  where  string?  `script.lua:12`, the line that called it
  cause  any  the very value that user code raised
  partial  any  what had arrived, in the shape of the result
  details  table?  machine-readable extras
  phase  "connect"|"first_token"|"idle"|"total"|"tool"|nil  timeouts: which limit
  status  integer?  HTTP status
  provider  string?  id of the provider
  request_id  string?  for the provider's support
  attempts  integer?  requests made
  retry_after_ms  integer?  how long the provider asks to wait
]]

local HANDLE = [[
Handle: A call that goes on by itself: what a waiting function returns with `async=true`, and what
    `spawn` returns. Calling it gives the next chunk of its stream.
  id  string  its name; `tostring(handle)` is the same. Of a workflow's execution it is the
    execution's id, and the handle stands for the execution wherever one is named
  await()  any ...  waits; returns what the plain call returns, or raises its error; any number of
    times
  wait(timeout_ms?: number)  boolean  waits at most so long, and says whether it has ended; never
    raises the work's error
  done()  boolean  whether it has ended; never waits
  result()  any ...  the result, or nil, the status and the error; never waits
  status()  "pending"|"running"|"paused"|"completed"|"failed"|"cancelled"  how it stands; never
    waits
  cancel(reason?: string)  boolean  ends the work and closes its connection; true if it was
    unfinished; awaiting it then raises `cancelled`
  on(fn: fun(err: any, ...: any))  zigllms.Handle  calls `fn(err, result)` once it has ended: from
    the host's loop where there is one, else inside a wait or `poll`; returns the handle
  iter()  fun(): table?  the iterator of its chunks, `for chunk in handle:iter() do`; the handle
    itself is one, too. Of a workflow's execution: of its `workflow.*` events, the last 10,000
  pollfd()  integer  for `cqueues.poll(handle)`: the descriptor that is readable when there is
    something to deliver
  events()  string  for cqueues: "r"
  timeout()  number?  for cqueues: seconds until polling must end
  getfd()  integer  for LuaSocket, `socket.select({ handle })`: as `pollfd`
  dirty()  boolean  for LuaSocket: whether it has ended
]]

local CODES = [[
ErrorCode: One word to match on.
  invalid_argument  wrong type, missing, out of range, unknown option or word
  not_found  no such id or name
  already_exists  the name is taken
  invalid_state  not possible now
  validation_failed  a value does not fit its schema, or a definition is wrong; `details.errors`
  parse_failed  text that should be JSON is not
  conversion_error  a Lua value cannot cross; the message has its path
  template_error  a template or condition cannot be filled in: the message has what it looked for
  unsupported  not built in, not offered by the provider, or not possible here
  timeout  `phase` says which limit
  cancelled  by `handle:cancel()`, `agent.destroy` or an interrupt; `details.reason`, `partial`
  aborted_by_hook  a hook before the operation returned `false`
  budget_exceeded  a limit of `budget`; `partial` is set
  max_iterations  with `on_limit="raise"`; `partial` is set
  version_mismatch  a durable run was recorded under another definition of its workflow
  auth  no key, or HTTP 401 or 403
  rate_limited  HTTP 429; `retry_after_ms`
  overloaded  HTTP 503 or 529
  context_length  more than the model can read
  content_filter  refused by the provider
  bad_request  any other HTTP 4xx
  server_error  any other HTTP 5xx
  network  DNS, TLS (`details.reason`), connection; a stream that was cut
  bad_response  a reply that cannot be understood or is too large
  tool_error  a tool's function failed; `cause` is what it raised
  hook_error  a hook before or around an operation failed; `cause` is what it raised
  callback_error  another function of yours failed; `cause` is what it raised
  io_error  files and descriptors
  assertion_failed  not raised by this version
  internal  a defect of the module; the host process goes on
]]

local HANDLE_END = [[
On Lua 5.4 `local handle <close> = …` cancels it at the end of the block. A call that nobody can
observe any more is cancelled when its handle is collected; agent runs, executions of workflows and
spawned functions go on.

The handle of an execution that is paused rests: `await` returns the paused result, `wait` returns
false, `done()` is false, loops over it end, `run` does not wait for it. It goes on with the
execution, whoever resumes that, and `on` is called at the end.
]]

local SCHEMA = "A JSON Schema: a table, JSON text, or the id or name of a created one."

local INTRODUCTION = [[
Written by `tools/docs.lua` from the module's own tables; `zigllms.help("agent.run")` tells the same
in a program.

- A failing function raises an [Error](#error). Every function may raise `invalid_argument`.
- A function marked *waits* takes the options `async=true` (returns a [Handle](#handle) at once),
  `async=false` (blocks, also in a coroutine) and `async="yield"` (suspends the coroutine it is
  called in).
- An id may be given as the id, as a unique name, or as the table that `get` or `get_info` returned.
- An unknown option is an error that names the nearest known one. As a value, `zigllms.null` means
  unset.
]]

local HOOK = "fun(context: zigllms.HookContext, " .. "next?: fun(data?: any): any): any, string?"

local STEP = "fun(ctx: zigllms.StepContext): any"
local MAPPED = "any|fun(value: any, ctx: zigllms.StepContext): any"
local TEST = "string|fun(ctx: zigllms.StepContext): any"

-- Types that a declaration cannot spell: signatures of functions and the like.
local TYPES = {
  ["agent.run.input"] = "string|zigllms.Message|zigllms.Message[]|table",
  ["ChatOptions.messages"] = "string|zigllms.Message|zigllms.Message[]",
  ["ToolDefinition.execute"] = "fun(input: any, ctx: zigllms.ToolContext): any, string?",
  ["Test.fn"] = "fun(ctx: zigllms.TestContext)",
  ["TestScenario.setup"] = "fun(ctx: zigllms.TestContext)",
  ["TestScenario.teardown"] = "fun(ctx: zigllms.TestContext)",
  ["TestStep.run"] = "fun(ctx: zigllms.TestContext): any",
  ["TestSuite.before_each"] = "fun(ctx: zigllms.TestContext)",
  ["TestSuite.after_each"] = "fun(ctx: zigllms.TestContext)",
  ["TestSuite.before_all"] = "fun(suite: table)",
  ["TestSuite.after_all"] = "fun(suite: table)",
  ["all.handles"] = "zigllms.Handle[]",
  ["await.handle"] = "zigllms.Handle",
  ["error.code"] = "zigllms.ErrorCode|string",
  ["CompositionPart.condition"] = TEST,
  ["CompositionPart.output"] = MAPPED,
  ["Step.condition"] = TEST,
  ["Step.fn"] = STEP,
  ["Step.output"] = MAPPED,
  ["Step.when"] = TEST,
  ["WorkflowExecution.on_step"] = "fun(step: zigllms.StepResult)",
  ["WorkflowLoop.until_condition"] = TEST,
  ["WorkflowSettings.condition"] = TEST,
  ["event.filter.callback"] = "fun(event: zigllms.Event): boolean|table?",
  ["event.subscribe.callback"] = "fun(event: zigllms.Event)",
  ["hook.register.callback"] = HOOK,
  ["HookOptions.callback"] = HOOK,
  ["ReplayOptions.callback"] = "fun(event: zigllms.Event)",
  ["provider.chat.messages"] = "string|zigllms.Message|zigllms.Message[]|zigllms.ChatOptions",
  ["provider.stream.callback"] = "zigllms.ChatOptions|fun(chunk: zigllms.Chunk): boolean?",
  ["provider.stream.messages"] = "string|zigllms.Message|zigllms.Message[]|zigllms.ChatOptions",
  ["map.fn"] = "fun(item: any, index: integer): any",
  ["map.list"] = "any[]",
  ["race.handles"] = "zigllms.Handle[]",
  ["stream"] = "boolean|fun(chunk: zigllms.Chunk): boolean?",
}

-- Functions that hand further arguments, or all results, on to somebody else's function.
local VARIADIC = { run = true, spawn = true, try = true }
local MANY_RESULTS = { await = true, run = true, try = true }

-- The classes of one of the texts above: `{name, doc, fields = {{name, type?, doc}, …}}`.
local function classes(text, columns)
  local all = {}
  for line in text:gsub("\n    +", " "):gmatch("[^\n]+") do
    local name, doc = line:match("^(%u%a+): (.*)")
    if name then
      insert(all, { name = name, doc = doc, fields = {} })
    else
      local field = {}
      for column in (line .. "  "):gmatch("%s*(%S.-)  ") do
        insert(field, column)
      end
      for i = #field + 1, columns do
        field[i] = ""
      end
      insert(all[#all].fields, field)
    end
  end
  return all
end

local bridges = {}
for _, bridge in ipairs(reference.bridges) do
  bridges[bridge.name] = bridge
end

local results, handle, codes = classes(RESULTS, 3), classes(HANDLE, 3)[1], {}
for _, code in ipairs(classes(CODES, 2)[1].fields) do
  codes[code[1]] = code[2]
end

local function each_function()
  local all = {}
  for _, bridge in ipairs(reference.bridges) do
    for _, fn in ipairs(bridge.functions) do
      insert(all, { bridge = bridge, fn = fn })
    end
  end
  return ipairs(all)
end

local function bridge_title(bridge)
  return bridge.name == "" and "zigllms" or "zigllms." .. bridge.name
end

local function signature(bridge, fn)
  local text = fn.signature
  if VARIADIC[fn.full_name] then
    text = text:gsub("%)", ", ...)", 1)
  end
  return bridge_title(bridge) .. "." .. text
end

local function kind_of(key, owner, name, declared)
  return TYPES[key] or TYPES[owner .. "." .. name] or TYPES[name] or declared
end

-- The description of a kind. An upper bound that only keeps nonsense out says nothing.
local function kind_text(item)
  return (
    item.describe:gsub("from (%-?%d+) to (%d+)", function(low, high)
      return #high > 9 and "of at least " .. low or nil
    end)
  )
end

-- A growing text.
local function page()
  local lines = {}
  local self = {}
  function self.add(text, ...)
    insert(lines, select("#", ...) > 0 and format(text, ...) or text or "")
  end
  function self.text()
    return concat(lines, "\n") .. "\n"
  end
  return self
end

-- `handle:wait(timeout_ms?)`
local function member_name(member)
  local name, params = member[1]:match("^(%w+)%((.*)%)$")
  return name and format("handle:%s(%s)", name, params:gsub(":.*", "")) or "handle." .. member[1]
end

-- types/zigllms.lua ------------------------------------------------------------------------------

local function add_doc(out, text)
  for line in text:gmatch("[^\n]+") do
    out.add("---" .. line)
  end
end

local function add_field(out, name, kind, doc)
  local optional = kind:sub(-1) == "?" and not kind:find("^fun")
  out.add(
    "---@field %s%s %s%s",
    name,
    optional and "?" or "",
    optional and kind:sub(1, -2) or kind,
    doc ~= "" and " " .. doc or ""
  )
end

local function about(field)
  return field.default ~= "" and format("%s [%s]", field.doc, field.default) or field.doc
end

-- What the annotated type does not say: the range of a number.
local function range(item)
  local text = kind_text(item)
  return text:find("%d") and text .. ": " or ""
end

-- The keys that must be given: not where the shape is also one of changes.
local function needed(shape, field)
  return field.default == "required" and shape.name ~= "ProviderConfig"
end

local function add_shape_class(out, shape)
  local parents = {}
  for _, name in ipairs(shape.also) do
    insert(parents, "zigllms." .. name)
  end
  out.add(
    "---@class zigllms.%s%s",
    shape.name,
    #parents > 0 and ": " .. concat(parents, ", ") or ""
  )
  for _, field in ipairs(shape.fields) do
    local kind = kind_of("", shape.name, field.name, field.type)
    out.add(
      "---@field %s%s %s %s",
      field.name,
      needed(shape, field) and "" or "?",
      kind,
      range(field) .. about(field)
    )
    for _, alias in ipairs(field.aliases) do
      out.add("---@field %s? %s the same as `%s`", alias, kind, field.name)
    end
  end
  out.add()
end

local function add_result_class(out, class)
  add_doc(out, class.doc)
  out.add("---@class zigllms.%s", class.name)
  for _, field in ipairs(class.fields) do
    local name = field[1] == "function" and '["function"]' or field[1]
    add_field(out, name, field[2], field[3])
  end
  if class.name == "Error" then
    out.add("---@field is fun(self: zigllms.Error, code: string): boolean whether it has that code")
  end
  out.add()
end

local function add_handle_class(out)
  add_doc(out, handle.doc)
  out.add("---@class zigllms.Handle")
  out.add("---@overload fun(): zigllms.Chunk?")
  for _, member in ipairs(handle.fields) do
    if not member[1]:find("%(") then
      add_field(out, member[1], member[2], member[3])
    end
  end
  out.add("local Handle = {}")
  out.add()
  for _, member in ipairs(handle.fields) do
    local name, params = member[1]:match("^(%w+)%((.*)%)$")
    if name then
      add_doc(out, member[3])
      local param, kind = params:match("^(.-): (.+)$")
      if param then
        out.add("---@param %s %s", param, kind)
      end
      out.add("---@return %s", member[2])
      out.add("function Handle:%s(%s) end", name, param and param:gsub("%?", "") or "")
      out.add()
    end
  end
end

local function owner_of(bridge)
  return bridge.name == "" and "zigllms" or bridge.name
end

local function add_constants(out, bridge, constants)
  local name = bridge_title(bridge) .. "." .. constants.name
  local words = {}
  for _, member in ipairs(constants.members) do
    insert(words, format("%q", member.value))
  end
  out.add("---@alias %s", name)
  for _, word in ipairs(words) do
    out.add("---| %s", word)
  end
  out.add()
  out.add("%s.%s = {", owner_of(bridge), constants.name)
  for i, member in ipairs(constants.members) do
    out.add("  %s = %s,", member.name, words[i])
  end
  out.add("}")
  out.add()
end

-- How a call that waits looks to somebody who does not wait.
local function add_handle_overloads(out, fn)
  local before = {}
  for i, param in ipairs(fn.params) do
    local kind = kind_of(fn.full_name .. "." .. param.name, fn.name, param.name, param.type)
    if i == #fn.params then
      out.add(
        "---@overload fun(%s): zigllms.Handle",
        concat(before, ", ") .. ", options: { async: true }"
      )
      break
    end
    insert(before, format("%s%s: %s", param.name, param.optional and "?" or "", kind))
  end
  if fn.full_name == "provider.stream" then
    out.add("---@overload fun(%s, options?: zigllms.ChatOptions): zigllms.Handle", before[1])
  end
end

local function add_stub(out, bridge, fn)
  add_doc(out, fn.doc)
  if #fn.errors > 0 then
    out.add("---")
    out.add("---Errors: invalid_argument, %s", concat(fn.errors, ", "))
  end
  local names = {}
  for _, param in ipairs(fn.params) do
    local kind = kind_of(fn.full_name .. "." .. param.name, fn.name, param.name, param.type)
    out.add(
      "---@param %s%s %s %s",
      param.name,
      param.optional and "?" or "",
      kind,
      kind_text(param)
    )
    insert(names, param.name)
  end
  if VARIADIC[fn.full_name] then
    out.add("---@param ... any handed on")
    insert(names, "...")
  end
  for _, result in ipairs(fn.returns) do
    out.add("---@return %s %s", result.type, MANY_RESULTS[fn.full_name] and "..." or result.name)
  end
  if fn.waits then
    add_handle_overloads(out, fn)
  end
  out.add("function %s.%s(%s) end", owner_of(bridge), fn.name, concat(names, ", "))
  out.add()
end

local function stubs()
  local out = page()
  out.add("---@meta zigllms")
  out.add("-- Written by tools/docs.lua from the module's own tables: do not edit.")
  out.add("-- luacheck: ignore")
  out.add()
  out.add("---Agents, tools and language models.")
  out.add("---@class zigllms")
  out.add('---@field version string "x.y.z"')
  out.add('---@field _VERSION string "zigllms x.y.z"')
  out.add("---@field description string one line of text")
  out.add("---@field null lightuserdata null of JSON; as an option it means unset")
  out.add("---@field safe zigllms the same functions, returning nil and the error object")
  for i = 2, #reference.bridges do
    local bridge = reference.bridges[i]
    out.add("---@field %s zigllms.%s %s", bridge.name, bridge.name, bridge.doc)
  end
  out.add("local zigllms = {}")
  out.add()
  for _, shape in ipairs(reference.shapes) do
    add_shape_class(out, shape)
  end
  for _, class in ipairs(results) do
    add_result_class(out, class)
  end
  add_handle_class(out)
  out.add("---%s", SCHEMA)
  out.add("---@alias zigllms.Schema table|string|boolean|zigllms.CompiledSchema")
  out.add()
  for _, bridge in ipairs(reference.bridges) do
    if bridge.name ~= "" then
      add_doc(out, bridge.doc)
      out.add("---@class zigllms.%s", bridge.name)
      out.add("local %s = {}", bridge.name)
      out.add("zigllms.%s = %s", bridge.name, bridge.name)
      out.add()
    end
    for _, constants in ipairs(bridge.constants) do
      add_constants(out, bridge, constants)
    end
    for _, fn in ipairs(bridge.functions) do
      add_stub(out, bridge, fn)
    end
  end
  out.add("return zigllms")
  return out.text()
end

-- doc/reference.md -------------------------------------------------------------------------------

local function link(name)
  return format("[%s](#%s)", name, name:lower():gsub("[^%w%-_]", ""))
end

local function cell(text)
  return (text:gsub("|", "\\|"):gsub("\n", " "))
end

local function type_cell(kind)
  return cell("`" .. kind:gsub("zigllms%.", "") .. "`")
end

local function links(names)
  local all = {}
  for i, name in ipairs(names) do
    all[i] = link(name)
  end
  return concat(all, ", ")
end

-- The description of a value, with links to the tables it may be.
local function described(item)
  if #item.shapes == 0 then
    return kind_text(item)
  end
  return format("%s (%s)", kind_text(item), links(item.shapes))
end

local function add_option_table(out, shape)
  if #shape.fields > 0 then
    out.add("| key | value | default | meaning |")
    out.add("|---|---|---|---|")
    for _, field in ipairs(shape.fields) do
      local names = "`" .. concat({ field.name, unpack(field.aliases) }, "`, `") .. "`"
      out.add(
        "| %s | %s | %s | %s |",
        names,
        cell(described(field)),
        cell(field.default),
        cell(field.doc)
      )
    end
    out.add()
  elseif #shape.also == 0 then
    out.add("No key of it is known to this version.")
    out.add()
  end
  if #shape.also > 0 then
    out.add("%s the keys of %s.", #shape.fields > 0 and "Also" or "It has", links(shape.also))
    out.add()
  end
end

local function add_function(out, bridge, fn)
  out.add("### %s", bridge_title(bridge) .. "." .. fn.name)
  out.add()
  out.add("`%s`%s", signature(bridge, fn), fn.waits and " · waits" or "")
  out.add()
  out.add(fn.doc)
  out.add()
  for _, param in ipairs(fn.params) do
    out.add("- `%s`: %s%s", param.name, described(param), param.optional and ", optional" or "")
  end
  if #fn.params > 0 then
    out.add()
  end
  local errors = #fn.errors > 0 and "`" .. concat(fn.errors, "`, `") .. "`" or "none"
  out.add("Errors besides `invalid_argument`: %s. Effect: %s.", errors, fn.effect)
  out.add()
  out.add("```lua")
  out.add(fn.example)
  out.add("```")
  out.add()
end

local function add_bridge(out, bridge)
  out.add("## %s", bridge_title(bridge))
  out.add()
  out.add(bridge.doc)
  out.add()
  out.add("| function | |")
  out.add("|---|---|")
  for i, fn in ipairs(bridge.functions) do
    local title = bridge_title(bridge) .. "." .. fn.name
    if i > 1 and fn.extra and not bridge.functions[i - 1].extra then
      out.add("| *extras* | |")
    end
    out.add(
      "| [`%s`](#%s) | %s |",
      signature(bridge, fn):gsub("^zigllms%.", ""),
      title:gsub("%.", ""),
      cell(fn.summary)
    )
  end
  out.add()
  for _, constants in ipairs(bridge.constants) do
    if constants.name ~= "ErrorCode" then
      local members = {}
      for i, member in ipairs(constants.members) do
        members[i] = format('`%s` = "%s"', member.name, member.value)
      end
      out.add("`%s.%s`: %s", bridge_title(bridge), constants.name, concat(members, ", "))
      out.add()
    end
  end
  for _, fn in ipairs(bridge.functions) do
    add_function(out, bridge, fn)
  end
end

local function error_codes()
  for _, constants in ipairs(reference.bridges[1].constants) do
    if constants.name == "ErrorCode" then
      return constants.members
    end
  end
end

local function add_results(out)
  out.add("## Results")
  out.add()
  for _, class in ipairs(results) do
    out.add("### %s", class.name)
    out.add()
    out.add(class.doc)
    out.add()
    out.add("| field | type | |")
    out.add("|---|---|---|")
    for _, field in ipairs(class.fields) do
      out.add("| `%s` | %s | %s |", field[1], type_cell(field[2]), cell(field[3]))
    end
    out.add()
  end
  out.add("### Handle")
  out.add()
  out.add(handle.doc)
  out.add()
  out.add("| member | type | |")
  out.add("|---|---|---|")
  for _, member in ipairs(handle.fields) do
    out.add("| `%s` | %s | %s |", member_name(member), type_cell(member[2]), cell(member[3]))
  end
  out.add()
  out.add(HANDLE_END)
  out.add("### Error codes")
  out.add()
  out.add("The strings of `zigllms.ErrorCode`, and of `err.code`.")
  out.add()
  out.add("| code | when |")
  out.add("|---|---|")
  for _, member in ipairs(error_codes()) do
    out.add("| `%s` | %s |", member.value, cell(codes[member.value]))
  end
  out.add()
end

local function markdown()
  local out = page()
  out.add("# Reference")
  out.add()
  out.add(INTRODUCTION)
  local parts = {}
  for i, bridge in ipairs(reference.bridges) do
    parts[i] = link(bridge_title(bridge))
  end
  out.add(
    "Parts: %s, [Option tables](#option-tables), [Results](#results), [Error codes](#error-codes)",
    concat(parts, ", ")
  )
  out.add()
  for _, bridge in ipairs(reference.bridges) do
    add_bridge(out, bridge)
  end
  out.add("## Option tables")
  out.add()
  for _, shape in ipairs(reference.shapes) do
    out.add("### %s", shape.name)
    out.add()
    add_option_table(out, shape)
  end
  add_results(out)
  return (out.text():gsub("\n+$", "\n"))
end

-- doc/zigllms.txt --------------------------------------------------------------------------------

local WIDTH = 78

local function width(text)
  return utf8.len(text) or #text
end

-- Adds text in lines of at most WIDTH columns: `first` stands before the first line, `hang` before
-- all others.
local function wrap(out, text, first, hang)
  local line, empty = first, true
  for word in text:gmatch("%S+") do
    if not empty and width(line) + 1 + width(word) > WIDTH then
      out.add(line)
      line, empty = hang or first, true
    end
    line = empty and line .. word or line .. " " .. word
    empty = false
  end
  out.add(line)
end

-- The last place before column `limit` where Lua may go on in a new line, outside of strings:
-- behind a comma or before `return`; else behind a brace.
local function break_at(line, limit)
  local quoted, place, second = false, nil, nil
  for i = 1, math.min(limit, #line) do
    local char = line:sub(i, i)
    if char == '"' and line:sub(i - 1, i - 1) ~= "\\" then
      quoted = not quoted
    elseif not quoted and (line:find("^, ", i) or line:find("^[^ ] return ", i)) then
      place = i
    elseif not quoted and line:find("^{ ", i) then
      second = i
    end
  end
  return place or second
end

local function add_folded(out, line, indent)
  while #indent + #line > WIDTH do
    local at = break_at(line, WIDTH - #indent)
    if not at then
      break
    end
    out.add(indent .. line:sub(1, at))
    line = "  " .. line:sub(at + 2)
  end
  out.add(indent .. line)
end

local function plain(text)
  return (text:gsub("`", ""):gsub("|", "/"))
end

local function rule(out, title, tag)
  out.add(("="):rep(WIDTH))
  out.add(
    title .. (" "):rep(math.max(1, WIDTH - width(title) - width(tag) - 2)) .. "*" .. tag .. "*"
  )
  out.add()
end

local function tag_line(out, tag)
  out.add((" "):rep(WIDTH - width(tag) - 2) .. "*" .. tag .. "*")
end

local function add_code(out, code)
  out.add("    Example: >lua")
  for line in code:gmatch("[^\n]+") do
    add_folded(out, line, "        ")
  end
  out.add("<")
end

local function add_help_function(out, bridge, fn)
  tag_line(out, bridge_title(bridge) .. "." .. fn.name .. "()")
  wrap(out, signature(bridge, fn), "", "        ")
  wrap(out, plain(fn.doc), "    ")
  out.add()
  for _, param in ipairs(fn.params) do
    local see = ""
    for _, name in ipairs(param.shapes) do
      see = see .. " |zigllms." .. name .. "|"
    end
    local optional = param.optional and ", optional" or ""
    wrap(
      out,
      format("{%s} %s%s%s", param.name, plain(kind_text(param)), optional, see),
      "    ",
      "        "
    )
  end
  local errors = #fn.errors > 0 and ", " .. concat(fn.errors, ", ") or ""
  wrap(out, "Errors: invalid_argument" .. errors, "    ", "        ")
  add_code(out, fn.example)
  out.add()
end

local function add_help_shape(out, shape)
  tag_line(out, "zigllms." .. shape.name)
  out.add(shape.name)
  for _, field in ipairs(shape.fields) do
    local names = concat({ field.name, unpack(field.aliases) }, ", ")
    local see = ""
    for _, name in ipairs(field.shapes) do
      see = see .. " |zigllms." .. name .. "|"
    end
    local text = format("%s: %s. %s%s", names, plain(kind_text(field)), plain(about(field)), see)
    wrap(out, text, "    ", "        ")
  end
  local also = {}
  for i, name in ipairs(shape.also) do
    also[i] = "|zigllms." .. name .. "|"
  end
  if #also > 0 then
    wrap(out, "And the keys of " .. concat(also, ", "), "    ", "        ")
  elseif #shape.fields == 0 then
    out.add("    No key of it is known to this version.")
  end
  out.add()
end

local function add_help_class(out, class, name_of)
  tag_line(out, "zigllms." .. class.name)
  out.add(class.name)
  wrap(out, plain(class.doc), "    ")
  for _, field in ipairs(class.fields) do
    local kind = field[2]:gsub("zigllms%.", ""):gsub("|", " or ")
    local doc = field[3] ~= "" and ": " .. plain(field[3]) or ""
    wrap(out, format("%s: %s%s", name_of(field), kind, doc), "    ", "        ")
  end
  out.add()
end

local function add_help_results(out)
  for _, class in ipairs(results) do
    add_help_class(out, class, function(field)
      return field[1]
    end)
  end
  add_help_class(out, handle, member_name)
  tag_line(out, "zigllms.ErrorCode")
  out.add("ErrorCode")
  for _, member in ipairs(error_codes()) do
    local column = format("    %-18s ", member.value)
    wrap(out, plain(codes[member.value]), column, (" "):rep(#column))
  end
  out.add()
end

local function help()
  local out = page()
  out.add("*zigllms.txt*  Agents, tools and language models for Lua")
  out.add()
  rule(out, "CONTENTS", "zigllms-contents")
  local parts = { { "The module", "zigllms" } }
  for i = 2, #reference.bridges do
    insert(parts, { reference.bridges[i].doc, "zigllms." .. reference.bridges[i].name })
  end
  insert(parts, { "Option tables", "zigllms-options" })
  insert(parts, { "Results, handles, errors", "zigllms-results" })
  for i, part in ipairs(parts) do
    wrap(out, format("%d. %s |%s|", i, plain(part[1]), part[2]), "  ", "     ")
  end
  out.add()
  local waiting = "A failing function raises an error object, see |zigllms.Error|. A function that "
    .. "waits takes the option async: true = a handle at once, see |zigllms.Handle|; false = block "
    .. 'also in a coroutine; "yield" = suspend this coroutine.'
  wrap(out, waiting, "")
  out.add()
  for _, bridge in ipairs(reference.bridges) do
    rule(out, bridge_title(bridge):upper(), bridge_title(bridge))
    wrap(out, plain(bridge.doc), "")
    out.add()
    for _, constants in ipairs(bridge.constants) do
      if constants.name ~= "ErrorCode" then
        local members = {}
        for i, member in ipairs(constants.members) do
          members[i] = format('%s="%s"', member.name, member.value)
        end
        tag_line(out, bridge_title(bridge) .. "." .. constants.name)
        wrap(
          out,
          bridge_title(bridge) .. "." .. constants.name .. ": " .. concat(members, " "),
          "",
          "    "
        )
        out.add()
      end
    end
    for _, fn in ipairs(bridge.functions) do
      add_help_function(out, bridge, fn)
    end
  end
  rule(out, "OPTION TABLES", "zigllms-options")
  for _, shape in ipairs(reference.shapes) do
    add_help_shape(out, shape)
  end
  rule(out, "RESULTS", "zigllms-results")
  add_help_results(out)
  out.add(" vim:tw=78:ts=8:ft=help:norl:")
  return out.text()
end

-- Checks -----------------------------------------------------------------------------------------

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read("a")
  if file then
    file:close()
  end
  return text
end

local function specs()
  local listing = assert(io.popen("find spec -name '*_spec.lua' | sort"))
  local all = {}
  for path in listing:lines() do
    insert(all, read(path))
  end
  listing:close()
  return concat(all, "\n")
end

-- Whether the text uses `agent.create`; a function of the module itself, by whatever name the
-- module has there.
local function uses(text, bridge, fn)
  if bridge.name ~= "" then
    return text:find("%f[%w_]" .. bridge.name .. "%." .. fn.name .. "%f[^%w_]")
  end
  for owner in text:gmatch("([%w_]+)%." .. fn.name .. "%f[^%w_]") do
    if not bridges[owner] then
      return true
    end
  end
  return false
end

local function gaps()
  local found, text = {}, specs()
  local known = {}
  for _, member in ipairs(error_codes()) do
    known[member.value] = true
    if not codes[member.value] then
      insert(
        found,
        "error code " .. member.value .. ": tools/docs.lua does not say when it is raised"
      )
    end
  end
  for _, item in each_function() do
    local bridge, fn = item.bridge, item.fn
    local name = bridge_title(bridge) .. "." .. fn.name
    local function expect(holds, what)
      if not holds then
        insert(found, name .. ": " .. what)
      end
    end
    expect(fn.doc:match("%S"), "no description")
    expect(fn.example:match("%S"), "no example")
    expect(load(fn.example), "its example is not Lua")
    expect(uses(text, bridge, fn), "no spec calls it")
    expect(not fn.waits or #fn.errors > 0, "it waits but declares no errors")
    for _, code in ipairs(fn.errors) do
      expect(known[code], "unknown error code " .. code)
    end
  end
  return found
end

local FILES = {
  { "types/zigllms.lua", stubs },
  { "doc/reference.md", markdown },
  { "doc/zigllms.txt", help },
}

local function check()
  local found = gaps()
  for _, file in ipairs(FILES) do
    if read(file[1]) ~= file[2]() then
      insert(found, file[1] .. ": stale, run `make docs`")
    end
  end
  for _, line in ipairs(found) do
    io.stderr:write(line, "\n")
  end
  io.stderr:write(#found == 0 and "docs: ok\n" or format("docs: %d gaps\n", #found))
  os.exit(#found == 0)
end

if arg[1] == "--check" then
  check()
end
for _, file in ipairs(FILES) do
  local out = assert(io.open(file[1], "wb"))
  out:write(file[2]())
  out:close()
  print("wrote " .. file[1])
end
