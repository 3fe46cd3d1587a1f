-- Many streams at once in one process, through `all`: what each costs, and how fast they end.
-- ZIGLLMS_SWEEP=full: a thousand.
local program = require("spec.support.program")

local full = os.getenv("ZIGLLMS_SWEEP") == "full"
local COUNT = full and 1000 or 200

-- Memory in KiB for each stream. Of 200 streams each carries a thread that connected it and has not
-- ended yet; of 1,000 it is a quarter of one.
local LIMITS = full and { plain = 48, tls = 96 } or { plain = 128, tls = 224 }

local function run(kind)
  local line = ("%s bench/streams.lua %d %s"):format(program.interpreter(), COUNT, kind)
  local result = program.shell(line)
  assert.equal("", result.err)
  assert.equal(0, result.rc)
  print("\n" .. result.out:gsub("\n$", ""))
  return result.out
end

for kind, limit in pairs(LIMITS) do
  if kind == "tls" and not program.has("openssl") then
    print("SKIP streams over TLS: there is no openssl to make a certificate")
  else
    it(("%d streams (%s) are complete, small and quickly cancelled"):format(COUNT, kind), function()
      local out = run(kind)
      local tokens, kib, share = out:match("(%d+) tokens: ([%d.]+) KiB each, ([%d.]+) of a core")
      assert.equal(50 * COUNT, tonumber(tokens))
      assert.is_true(tonumber(kib) <= limit)
      assert.is_true(tonumber(share) < 1)
      -- 50 ms is promised for a thousand; a busy machine gets ten times as much.
      assert.is_true(tonumber(out:match("([%d.]+) ms until all had ended")) < 500)
      assert.is_true(tonumber(out:match("(-?%d+) descriptors more")) <= 4)
    end)
  end
end
