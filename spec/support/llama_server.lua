-- llama.cpp's own server with the model of `ZIGLLMS_TEST_GGUF`, as a process on loopback.
-- `ZIGLLMS_LLAMA_SERVER` names the program.
local zigllms = require("zigllms")
local program = require("spec.support.program")

local llama = {}

local function readable(path)
  local file = path and io.open(path, "rb")
  return file and file:close() and path
end

-- Why there is none; nil if there is one.
function llama.missing()
  if not readable(os.getenv("ZIGLLMS_LLAMA_SERVER")) then
    return "ZIGLLMS_LLAMA_SERVER names no llama-server (make llama-server)"
  elseif not readable(os.getenv("ZIGLLMS_TEST_GGUF")) then
    return "ZIGLLMS_TEST_GGUF names no model file (make model)"
  end
end

-- A port that was free a moment ago.
local function free_port()
  local line =
    "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"
  local pipe = assert(io.popen('python3 -c "' .. line .. '"'))
  local port = pipe:read("*l")
  pipe:close()
  return port
end

-- Starts it, and waits until it has read the model. It ends when its standard input closes.
function llama.start(window)
  local port = free_port()
  local line = "%s -m %s --host 127.0.0.1 --port %s -c %d -t 1 -np 1 -fa off --jinja --no-webui"
  line = line:format(
    program.quoted(os.getenv("ZIGLLMS_LLAMA_SERVER")),
    program.quoted(os.getenv("ZIGLLMS_TEST_GGUF")),
    port,
    window
  )
  local script = line .. " >/dev/null 2>&1 </dev/null & read -r _; kill $!"
  local input = assert(io.popen("sh -c " .. program.quoted(script), "w"))
  local url = "http://127.0.0.1:" .. port .. "/v1"
  local instance = zigllms.new()
  local config = { type = "llamacpp", base_url = url, retry = false }
  local id = instance.provider.create(config)
  local waited = 0
  while not pcall(instance.provider.chat, "hi", { provider = id, max_tokens = 1 }) do
    waited = waited + 1
    assert(waited < 300, "llama-server did not start")
    instance.sleep(200)
  end
  return {
    url = url,
    stop = function()
      input:close()
    end,
  }
end

return llama
