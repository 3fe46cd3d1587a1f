-- In nginx a transport on cosockets: nginx goes on with other requests while it waits.
local nginx = require("spec.support.nginx")
local scripted = require("spec.support.server")

local missing = nginx.missing()
if missing then
  print("SKIP spec/host/transport_spec.lua: " .. missing)
  return
end

local server = scripted.start()

-- A client of HTTP/1.1 as short as it can be: answers come in chunks or with a length.
local CLIENT = ([[
  init_by_lua_block {
    local function receive(sock, request, headers)
      if headers["transfer-encoding"] ~= "chunked" then
        return sock:receive(tonumber(headers["content-length"]))
      end
      repeat
        local size = tonumber(sock:receive("*l"), 16)
        local bytes = sock:receive(size)
        sock:receive("*l")
      until size == 0 or not request.stream(bytes)
    end

    function transport(request)
      local sock = ngx.socket.tcp()
      sock:settimeout(request.timeout_ms)
      local ok, err = sock:connect("127.0.0.1", %d)
      if not ok then
        return nil, err
      end
      local head = { request.method .. " " .. request.url:match("//[^/]+(.*)") .. " HTTP/1.1" }
      request.headers.host = "here"
      for name, value in pairs(request.headers) do
        head[#head + 1] = name .. ": " .. value
      end
      sock:send(table.concat(head, "\r\n") .. "\r\n\r\n" .. (request.body or ""))
      local line, err = sock:receive("*l")
      if not line then
        return nil, err
      end
      local headers = {}
      for text in function() return sock:receive("*l") end do
        local name, value = text:match("^(.-):%%s*(.*)")
        if not name then
          break
        end
        headers[name:lower()] = value
      end
      local body = receive(sock, request, headers)
      sock:close()
      return { status = tonumber(line:match(" (%%d+)")), headers = headers, body = body }
    end

    require("zigllms").provider.configure("openai", {
      base_url = "http://elsewhere.invalid/v1",
      api_key = "test",
      retry = { initial_delay_ms = 1 },
      transport = transport,
    })
  }
]]):format(server.port)

local LOCATIONS = {
  stream = [[
    local response = require("zigllms").provider.stream("hi", function(chunk)
      ngx.print(chunk.done and "." or chunk.content .. "|")
      ngx.flush(true)
    end, { provider = "openai" })
    ngx.print(response.attempts)
  ]],
  async = [[
    local zigllms, handles = require("zigllms"), {}
    for i = 1, 4 do
      handles[i] = zigllms.provider.chat("hi", { provider = "openai", async = true })
    end
    for _, response in ipairs(zigllms.all(handles)) do
      ngx.print(response.content)
    end
  ]],
  late = [[
    local options = { provider = "openai", first_token_timeout_ms = 100, retry = false }
    local ok, err = pcall(require("zigllms").provider.chat, "hi", options)
    ngx.print(err.code, " ", err.phase)
  ]],
  plain = 'ngx.print("plain")',
}

describe("a transport on cosockets", function()
  local web

  setup(function()
    web = nginx.start({ http = CLIENT, locations = LOCATIONS })
  end)

  teardown(function()
    web:stop()
    server:stop()
  end)

  it("streams and is called again after a failure", function()
    server:script(
      scripted.failure(500, "broken"),
      scripted.text({ "Good ", "day" }, { chunk_delay_ms = 50 })
    )
    assert.equal("Good |day|.2", (web:get("/stream")))
  end)

  it("waits side by side with others", function()
    local reply = scripted.text("x", { delay_ms = 300 })
    reply["repeat"] = true
    server:script(reply)
    local began = require("system").gettime()
    assert.equal("xxxx", (web:get("/async")))
    assert.is_true(require("system").gettime() - began < 1.1)
  end)

  it("is late when nginx says so", function()
    server:script(scripted.text("x", { delay_ms = 3000 }))
    assert.equal("timeout first_token", (web:get("/late")))
    assert.equal("plain", (web:get("/plain")))
  end)
end)
