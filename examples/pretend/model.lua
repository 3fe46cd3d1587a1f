-- Starts server.py, which plays a model, and returns the configuration of a provider for it. To use
-- a real one instead: { type = "openai" } with OPENAI_API_KEY set.
local here = debug.getinfo(1, "S").source:sub(2):match("^.*/") or ""
local server = assert(io.popen("exec python3 '" .. here .. "server.py'"))
local port = server:read("*l")
if not port then
  error("these examples need python3")
end

-- The second result keeps the server alive: it ends when that file is closed.
return {
  type = "openai",
  base_url = "http://127.0.0.1:" .. port .. "/v1",
  api_key = "none",
  model = "pretend",
},
  server
