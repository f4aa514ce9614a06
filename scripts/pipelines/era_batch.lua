-- Proves a ZKsync Era batch: one file in, one proof out.
--
--   witness    which circuits the batch has, and what each of them is about (one CPU machine, minutes)
--   basic      a proof of each circuit, hundreds of them
--   leaf       32 basic proofs of one type in one proof
--   node       32 of those in one, until one is left of each type
--   tip        the proofs of all types in one
--   scheduler  the batch's proof
--   final      the same in a form that a chain verifies
--
-- This file knows circuits and rounds; lib/era knows which step takes what; who proves a step, and what
-- happens when a machine is lost or lies, is retry's and the coordinator's business. No round waits for
-- the round before it as a whole: a leaf begins when its own 32 proofs are there, while the other pieces
-- are still being proved, so that a slow machine holds up what needs it and nothing else.
--
-- To see what a fleet would make of it, without one:
--
--   froben sim --machines 33 --pipeline scripts/pipelines/era_batch.lua --profile era

local era = require("lib/era")
local join = require("lib/join")
local retry = require("lib/retry")

-- How many circuits an operator proves side by side: a piece of basic circuits is that wide. Smaller ones
-- save no time, and larger ones keep others waiting for their last round.
local WIDTH = 16
-- A batch has hundreds; more than this is a mistake, or somebody's joke.
local MOST_CIRCUITS = 20_000

-- What each round's tasks are. A basic circuit needs little memory on the device; what a machine holds
-- beside it is the setup of its circuits.
local GPU = { vram = "16GiB", ram = "24GiB" }
local TASKS = {
  basic = { kind = "era.basic/1", needs = GPU, timeout = "15m" },
  leaf = { kind = "era.leaf/1", needs = GPU, timeout = "10m" },
  node = { kind = "era.node/1", needs = GPU, timeout = "10m" },
  tip = { kind = "era.tip/1", needs = GPU, timeout = "10m" },
  scheduler = { kind = "era.scheduler/1", needs = GPU, timeout = "10m" },
  final = { kind = "era.final/1", needs = { vram = "22GiB", ram = "48GiB" }, timeout = "30m" },
}

local function whole(number, least, most)
  return type(number) == "number" and number == math.floor(number) and number >= least and number <= most
end

-- Accepts a witness: a blob, and how many circuits of each type are in it.
local function counted(value)
  local circuits = type(value) == "table" and value.circuits
  if type(circuits) ~= "table" or getmetatable(value.witness) ~= "blob" then
    return false, "the result has no blob witness, or no circuits"
  end
  local seen, total = {}, 0
  for _, one in ipairs(circuits) do
    local fits = type(one) == "table" and whole(one.circuit, 1, 255) and whole(one.count, 1, MOST_CIRCUITS)
    if not fits or seen[one.circuit] then
      return false, "a line of its circuits is none, or there twice"
    end
    seen[one.circuit] = true
    total += one.count
  end
  if total == 0 or total > MOST_CIRCUITS then
    return false, `it has {total} circuits; a batch has 1 to {MOST_CIRCUITS}`
  end
  return true
end

return workflow("era_batch", {
  description = "proves a ZKsync Era batch, from its witness to a proof for the chain",
  -- `piece`: how many basic circuits go into one task. `patience`: how long a task waits for a machine.
  input = { batch = "blob", piece = "integer?", patience = "string?" },
  output = { proof = "blob", circuits = "integer" },
}, function(ctx, input)
  local piece, patience = input.piece or WIDTH, input.patience or "1h"
  if not whole(piece, 1, 1024) then
    ctx:fail(`a piece has 1 to 1024 circuits, not {piece}`)
  end

  -- 1. The witness. A CPU task claims all of its machine's cores: it is the one thing that everybody
  --    waits for.
  ctx:status({ phase = "witness", done = 0, total = 1 })
  local witness = retry.one(ctx, {
    kind = "era.witness/1",
    key = "witness",
    input = { batch = input.batch },
    needs = { cpu_cores = 16, ram = "32GiB" },
    timeout = "15m",
    queue_timeout = patience,
  }, { accept = counted })
  ctx:status({ phase = "witness", done = 1, total = 1 })

  local counts, circuits = {}, 0
  for _, one in ipairs(witness.circuits) do
    counts[one.circuit] = one.count
    circuits += one.count
  end
  local totals = era.totals(counts)
  local done: { [string]: number } = { basic = 0, leaf = 0, node = 0, tip = 0, scheduler = 0 }
  local function count(round)
    done[round] += 1
    ctx:status({ phase = round, done = done[round], total = totals[round] })
  end

  local function task(round, key, items)
    local spec = table.clone(TASKS[round])
    spec.key, spec.items, spec.queue_timeout = key, items, patience
    spec.input = { batch = input.batch }
    return spec
  end
  -- One step that makes one proof of several.
  local function combine(round, key, circuit, proofs)
    return retry.one(
      ctx,
      task(round, key, { { circuit = circuit, proofs = proofs } }),
      { accept = join.has_blob("proof") }
    ).proof
  end

  -- 2. The basic circuits of one leaf, in their order.
  local function prove(leaf, jobs)
    local basic = task("basic", `basic/{leaf.key}`, jobs)
    basic.input = { witness = witness.witness }
    local results = retry.items(ctx, basic, piece, {
      accept = join.has_blob("proof"),
      on_item = function()
        count("basic")
      end,
    })
    local proofs = {}
    for at, result in ipairs(results) do
      proofs[at] = result.proof
    end
    return proofs
  end

  -- 3. Leaves and nodes, each type for itself; a leaf proves first what it puts together.
  local function step(one, taken)
    local proof
    if one.round == "leaf" then
      proof = combine("leaf", one.key, era.leaf_circuit(one.circuit), prove(one, taken))
    else
      proof = combine("node", one.key, one.circuit, taken)
    end
    count(one.round)
    return proof
  end
  local fibers, order = {}, era.slowest_first(counts)
  for at, circuit in ipairs(order) do
    fibers[at] = ctx:spawn(era.aggregate, ctx, circuit, era.jobs(circuit, counts[circuit]), step)
  end
  local by_type = {}
  for at, proof in ipairs(ctx:all(fibers)) do
    table.insert(by_type, { circuit = order[at], proof = proof })
  end

  -- 4. One of all types, in the order of their numbers; then the batch's own, and its last form.
  table.sort(by_type, function(a, b)
    return a.circuit < b.circuit
  end)
  local proofs = {}
  for at, one in ipairs(by_type) do
    proofs[at] = one.proof
  end
  local tip = combine("tip", "tip", nil, proofs)
  count("tip")
  local scheduler = combine("scheduler", "scheduler", nil, { tip })
  count("scheduler")
  ctx:status({ phase = "final", done = 0, total = 1 })
  local proof = combine("final", "final", nil, { scheduler })
  ctx:status({ phase = "final", done = 1, total = 1 })
  return { proof = proof, circuits = circuits }
end)
