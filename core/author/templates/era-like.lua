-- The shape of a rollup's batch: a witness, proofs of several circuits at once, layers of aggregation
-- until one proof is left, and a last step that makes it small.
--
-- Blobs never travel through the script: it passes references on, and machines fetch what they need.

local chunk = require("lib/chunk")
local join = require("lib/join")
local retry = require("lib/retry")

-- How many proofs one node of the tree takes.
local ARITY = 4
local ATTEMPTS = 5

-- Makes layer upon layer until one proof is left.
local function aggregate(ctx, proofs)
  local layer = 0
  while #proofs > 1 do
    layer += 1
    local tasks = {}
    for at, piece in ipairs(chunk.cut(proofs, ARITY)) do
      tasks[at] = {
        kind = "example.aggregate/1",
        key = `aggregate/{layer}/{at}`,
        input = { proofs = piece.items },
        needs = { vram = "4GiB" },
        timeout = "10m",
      }
    end
    ctx:status { phase = `aggregate, layer {layer}`, done = 0, total = #tasks }
    proofs = {}
    for at, values in ipairs(retry.each(ctx, tasks, { attempts = ATTEMPTS, accept = join.has_blob("proof") })) do
      proofs[at] = values[1].proof
    end
  end
  return proofs[1]
end

return workflow("era-like", {
  description = "proves one batch: witness, circuits, aggregation, compression",
  input = { batch = "blob" },
  output = { proof = "blob" },
}, function(ctx, input)
  -- 1. The witness says how many circuits there are, and holds what each one needs.
  ctx:status { phase = "witness", done = 0, total = 1 }
  local witness = retry.one(ctx, {
    kind = "example.witness/1",
    key = "witness",
    input = { batch = input.batch },
    needs = { cpu_cores = 4, ram = "16GiB" },
    timeout = "10m",
  }, { attempts = ATTEMPTS, accept = join.has_blob("witness") })
  local circuits = witness.circuits
  if type(circuits) ~= "number" or circuits < 1 then
    ctx:fail("the batch has no circuits")
  end

  -- 2. Every circuit of the batch, in pieces that any machine with a device may take.
  local items = {}
  for index = 1, circuits do
    items[index] = { index = index - 1 }
  end
  local done = 0
  ctx:status { phase = "circuits", done = 0, total = circuits }
  local task = {
    kind = "example.circuit/1",
    key = "circuit",
    input = { witness = witness.witness },
    items = items,
    needs = { vram = "8GiB" },
    timeout = "20m",
  }
  local proved = retry.items(ctx, task, chunk.width(circuits, 8), {
    attempts = ATTEMPTS,
    accept = join.has_blob("proof"),
    on_item = function()
      done += 1
      ctx:status { phase = "circuits", done = done, total = circuits }
    end,
  })

  -- 3. One proof of them all, then a small one.
  local proofs = {}
  for index, value in ipairs(proved) do
    proofs[index] = value.proof
  end
  local tip = aggregate(ctx, proofs)
  ctx:status { phase = "compress", done = 0, total = 1 }
  local small = retry.one(ctx, {
    kind = "example.compress/1",
    key = "compress",
    input = { proof = tip },
    needs = { vram = "16GiB" },
    timeout = "30m",
  }, { attempts = ATTEMPTS, accept = join.has_blob("proof") })
  return { proof = small.proof }
end)
