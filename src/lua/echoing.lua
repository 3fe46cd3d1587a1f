-- What providers of the type "mock" say, and all of them where `ZIGLLMS_MOCK` is set: what they
-- were told, the way of any other mock.
local core = ...

local number = 0

core.put_echo(function(arrived)
  number = number + 1
  local request = arrived.request
  local reply = request.kind == "chat" and core.echo(request) or nil
  return core.play_reply(reply, "echo", arrived, number)
end)

return core
