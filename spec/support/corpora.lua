-- Cases that other projects wrote. They are no part of this one: they are read from
-- $ZIGLLMS_CORPORA, by default ../shared/corpora beside the checkout.
local zigllms = require("zigllms")

local folder = os.getenv("ZIGLLMS_CORPORA") or "../shared/corpora"

local corpora = { folder = folder }

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

-- Inputs that are no text stand in the corpora as base64.
local function from_base64(text)
  local bytes, bits, value = {}, 0, 0
  for c in text:gmatch("[%w+/]") do
    value = value * 64 + ALPHABET:find(c, 1, true) - 1
    bits = bits + 6
    if bits >= 8 then
      bits = bits - 8
      bytes[#bytes + 1] = string.char(math.floor(value / 2 ^ bits))
      value = value % 2 ^ bits
    end
  end
  return table.concat(bytes)
end

-- The cases of a file; nil and the reason if it is not there.
function corpora.cases(name)
  local file = io.open(folder .. "/" .. name, "rb")
  if not file then
    return nil, "no corpora: " .. folder .. "/" .. name .. " is absent"
  end
  local cases = {}
  for line in file:lines() do
    local case = zigllms.output.parse(line, { format = "json", recovery = "strict" })
    case.input = case.input or case.input_b64 and from_base64(case.input_b64)
    case.name = case.id:match("[^/]*$")
    cases[#cases + 1] = case
  end
  file:close()
  return cases
end

-- A whole file, as it is.
function corpora.text(name)
  local file = assert(io.open(folder .. "/" .. name, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

-- busted's `it` of a spec, for tests over the cases of a file: without the file they are pending,
-- and the reason is printed.
function corpora.it(it, pending)
  return function(file, name, test)
    local cases, reason = corpora.cases(file)
    if cases then
      return it(name, function()
        test(cases)
      end)
    end
    print(reason)
    pending(name)
  end
end

-- Whether two documents are equal. Numbers are equal if they are, whatever their subtype.
function corpora.same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b or (a ~= a and b ~= b)
  end
  for key, value in pairs(a) do
    if not corpora.same(value, b[key]) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return true
end

return corpora
