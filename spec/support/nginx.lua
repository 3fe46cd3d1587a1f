-- A real nginx with its Lua module, on loopback, in a directory of its own, and a client for it
-- (spec/fixtures/load.py). `nginx.missing()` tells why there is none.
--
--   local web = nginx.start({ locations = { plain = 'ngx.print("hello")' } })
--   web:get("/plain") -- "hello", 200
--   web:stop()
--
-- nginx runs the module's build for LuaJIT, whatever runs the spec.
local cjson = require("cjson")
local program = require("spec.support.program")
local system = require("system")

local nginx = {}
local methods = {}
methods.__index = methods

local here = debug.getinfo(1, "S").source:sub(2):match("^(.*)support/[^/]*$") or "spec/"
local prefix = os.getenv("ZIGLLMS_NGINX")
local cpath = package.cpath:gsub("/lua/5%.4/", "/lua/5.1/"):gsub("/5%.4/", "/jit/")

local function exists(path)
  local file = io.open(path, "rb")
  return file and file:close() and true or false
end

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a") or ""
  return text, file and file:close()
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("%s+$", ""))
end

local function each(folder)
  return output_of("ls " .. folder .. " 2>/dev/null"):gmatch("%S+")
end

local function count(folder)
  local n = 0
  for _ in each(folder) do
    n = n + 1
  end
  return n
end

-- Why there is no nginx to test with; nil if there is one.
function nginx.missing()
  if not prefix or not exists(prefix .. "/usr/sbin/nginx") then
    return "ZIGLLMS_NGINX names no unpacked nginx (scripts/deps.sh gets one)"
  elseif not package.searchpath("zigllms", cpath) then
    return "there is no build of the module for LuaJIT"
  elseif not exists("/proc/self/stat") then
    return "it looks into /proc"
  end
end

nginx.prefix, nginx.cpath = prefix, cpath

-- Runs nginx of the prefix with the libraries that lie beside it.
function nginx.command()
  local libraries = {}
  for _, pattern in ipairs({ "/usr/lib/*-linux-gnu", "/lib/*-linux-gnu" }) do
    libraries[#libraries + 1] = prefix .. pattern
  end
  local path = output_of("echo " .. table.concat(libraries, " ")):gsub(" ", ":")
  return ("env LD_LIBRARY_PATH=%s %s/usr/sbin/nginx"):format(path, prefix)
end

local function locations(list)
  local text = {}
  for name, body in pairs(list or {}) do
    local content = body
    if not body:match("^%s*[%w_]+_by_lua_block") then
      content = "content_by_lua_block {\n" .. body .. "\n}"
    end
    text[#text + 1] = ("location /%s {\n%s\n}"):format(name, content)
  end
  return table.concat(text, "\n")
end

local MAIN = [[
daemon off; master_process on; worker_processes %d; pid %s/nginx.pid;
error_log %s/error.log info; %s
load_module %s/usr/lib/nginx/modules/ndk_http_module.so;
load_module %s/usr/lib/nginx/modules/ngx_http_lua_module.so;
%s
events { worker_connections 2048; }
http {
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  lua_package_path "%s/?.lua;%s/usr/share/lua/5.1/?.lua;;";
  lua_package_cpath "%s";
  lua_check_client_abort on;
  %s
  server {
    listen 127.0.0.1:%d backlog=1024;
    %s
    %s
  }
}
]]

-- Workers of root's nginx become somebody else, who may not read root's cache.
local function user()
  return output_of("id -u") == "0" and "user root;\n" or ""
end

local function configuration(self, options)
  return MAIN:format(
    options.workers or 1,
    self.directory,
    self.directory,
    user(),
    prefix,
    prefix,
    options.main or "",
    self.directory,
    prefix,
    cpath,
    options.http or "",
    self.port,
    options.server or "",
    locations(options.locations)
  )
end

function nginx.client()
  return program.talk("python3 " .. here .. "fixtures/load.py")
end

function methods.ask(self, command)
  return cjson.decode(self.client:ask(command))
end

-- Whether nginx answers: it listens before it says anything.
local function wait_until_up(self)
  for _ = 1, 400 do
    if exists(self.directory .. "/nginx.pid") and read(self.directory .. "/nginx.pid") ~= "" then
      return
    end
    system.sleep(0.02)
  end
  error("nginx has not started: " .. (read(self.directory .. "/error.log")))
end

local TEMPORARY = [[http {
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
]]

-- A copy of somebody's folder with an nginx.conf, on another port than 8080.
local function adopt(self, folder)
  assert(os.execute(("cp -R %s/. %s"):format(folder, self.directory)))
  local path = self.directory .. "/nginx.conf"
  local text = read(path):gsub(":8080", (":%d"):format(self.port)):gsub("http {\n", TEMPORARY)
  local modules = user()
  for _, name in ipairs({ "ndk_http_module", "ngx_http_lua_module" }) do
    modules = modules .. ("load_module %s/usr/lib/nginx/modules/%s.so;\n"):format(prefix, name)
  end
  write(path, modules .. text)
end

-- Starts nginx. Options: `locations` (name -> Lua of its content phase, or whole directives),
-- `main`, `http`, `server` (further directives), `workers`; or `folder` (with an nginx.conf instead
-- of all that); `env`.
function nginx.start(options)
  local directory = os.tmpname()
  os.remove(directory)
  assert(os.execute("mkdir -m 755 " .. directory))
  local self = setmetatable({ directory = directory, client = nginx.client() }, methods)
  self.port = self:ask("port")
  if options.folder then
    adopt(self, options.folder)
  else
    write(directory .. "/nginx.conf", configuration(self, options))
  end
  local words = {
    "LUA_PATH=" .. program.quoted(prefix .. "/usr/share/lua/5.1/?.lua;;"),
    "LUA_CPATH=" .. program.quoted(cpath),
  }
  for name, value in pairs(options.env or {}) do
    words[#words + 1] = name .. "=" .. program.quoted(value)
  end
  local command = ("%s %s -p %s -c nginx.conf"):format(
    table.concat(words, " "),
    nginx.command(),
    directory
  )
  self.master =
    output_of(("exec env %s </dev/null >%s/out 2>&1 & echo $!"):format(command, directory))
  local ok, err = pcall(wait_until_up, self)
  if not ok then
    local said = read(directory .. "/out")
    self:stop()
    error(err .. said, 0)
  end
  return self
end

-- Asks for a path: body, status.
function methods.get(self, path, more)
  local report = self:run(path, more)
  return report.bodies[1], tonumber((next(report.statuses))), report
end

local function flow(self, path, more)
  local given = { path = path, port = self.port, count = 1 }
  for key, value in pairs(more or {}) do
    given[key] = value
  end
  if given.count == 0 then
    given.count = nil
  end
  return cjson.encode(given)
end

function methods.run(self, path, more)
  return self:ask("run " .. flow(self, path, more))
end

-- Plays a flow meanwhile, until `report`.
function methods.load(self, path, more)
  assert(self:ask("start " .. flow(self, path, more)) == "ok")
end

function methods.report(self)
  return self:ask("report")
end

function methods.signal(self, name, pid)
  os.execute("kill -" .. name .. " " .. (pid or self.master))
end

-- The master's children: those that shut down are among them.
function methods.workers(self)
  local pids = {}
  for pid in read(("/proc/%s/task/%s/children"):format(self.master, self.master)):gmatch("%d+") do
    pids[#pids + 1] = pid
  end
  return pids
end

-- What a worker has open and what it has used: {fds, threads, cpu_ms}.
function methods.usage(self, pid)
  pid = pid or self:workers()[1]
  local stat = read("/proc/" .. pid .. "/stat"):match("%)(.*)$")
  local fields = {}
  for word in stat:gmatch("%S+") do
    fields[#fields + 1] = tonumber(word) or word
  end
  return {
    fds = count("/proc/" .. pid .. "/fd"),
    threads = count("/proc/" .. pid .. "/task"),
    cpu_ms = (fields[12] + fields[13]) * 10,
  }
end

function methods.log(self)
  return (read(self.directory .. "/error.log"))
end

-- What the error log says that is no mere information.
function methods.complaints(self)
  local found = {}
  for line in self:log():gmatch("[^\n]+") do
    if line:match("%[warn%]") or line:match("%[error%]") or line:match("%[crit%]") then
      found[#found + 1] = line
    elseif line:match("%[alert%]") or line:match("%[emerg%]") then
      found[#found + 1] = line
    end
  end
  return found
end

function methods.is_running(self)
  return exists("/proc/" .. self.master .. "/stat")
    and not read("/proc/" .. self.master .. "/stat"):match("%) Z")
end

-- Waits until `is(self)` is true; false if it never is.
function methods.wait_until(self, is, seconds)
  local until_when = system.monotime() + (seconds or 10)
  repeat
    local value = is(self)
    if value then
      return value
    end
    system.sleep(0.02)
  until system.monotime() > until_when
  return false
end

-- Ends nginx: QUIT lets it finish what it does. False if it had to be killed.
function methods.quit(self, seconds)
  self:signal("QUIT")
  return self:wait_until(function()
    return not self:is_running()
  end, seconds)
end

function methods.stop(self)
  if self:is_running() then
    self:signal("TERM")
    local ended = self:wait_until(function()
      return not self:is_running()
    end, 5)
    if not ended then
      for _, pid in ipairs(self:workers()) do
        self:signal("KILL", pid)
      end
      self:signal("KILL")
    end
  end
  self.client:stop()
  os.execute("rm -rf " .. self.directory)
end

return nginx
