-- Texts that are near each other, how long a prompt is before it is sent, and what it all costs.
-- Needs python3, which plays the model.
local zigllms = require("zigllms")
local pretend, server = dofile((arg[0]:match("^.*/") or "") .. "pretend/model.lua")
-- The prices are yours to say, for a million tokens; then every answer has its cost.
pretend.prices = {
  pretend = { input = 3, output = 15 },
  ["text-embedding-3-small"] = { input = 0.02 },
}
local model = zigllms.provider.create(pretend)

local notes = { "Trains to Bergen leave at nine", "The cat sleeps", "Cats sleep a lot" }
local known = zigllms.provider.embed(notes, { provider = model })
print(#known.embeddings, known.dimensions, known.model, known.cost)

local function likeness(a, b)
  local ab, aa, bb = 0, 0, 0
  for i = 1, #a do
    ab, aa, bb = ab + a[i] * b[i], aa + a[i] * a[i], bb + b[i] * b[i]
  end
  return ab / math.sqrt(aa * bb)
end

local wanted = zigllms.provider.embed("the sleeping cats", { provider = model }).embeddings[1]
local best, most = nil, -1
for i, vector in ipairs(known.embeddings) do
  local like = likeness(wanted, vector)
  if like > most then
    best, most = notes[i], like
  end
end
print(best)

-- Some providers count tokens exactly, others are estimated: the second result tells.
local question = "Who sleeps? " .. best
print(zigllms.provider.count_tokens(question, { provider = model }))

local response = zigllms.provider.chat(question, { provider = model })
print(response.content)
print(response.usage.total_tokens .. " tokens cost " .. response.cost)
print("in all: " .. zigllms.provider.get(model).usage.cost)
server:close()
