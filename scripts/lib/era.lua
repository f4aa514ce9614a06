-- How the circuit proofs of a ZKsync Era batch become one proof: which there are, in what order they are
-- put together, and what each step is called.
--
-- A batch is proved in five rounds. The *basic* circuits, one proof for each piece of what the batch did,
-- are of several types. Proofs of one type are put together, up to 32 at a time: by *leaf* circuits,
-- whose proofs go to *node* circuits, and those to nodes again, until one is left of each type. The
-- *tip* puts these together in the order of their types, and the *scheduler* makes the batch's proof of
-- the tip's. Nothing here looks into a proof: a pipeline hands the pieces out and passes on what comes.

local chunk = require("lib/chunk")

local era = {}

-- Proofs that one leaf or node circuit takes.
era.ARITY = 32
-- The rounds in their order.
era.ROUNDS = { "basic", "leaf", "node", "tip", "scheduler" }

-- The types of basic circuits by number. A leaf has the number of the type that it puts together, plus 2:
-- the recursive circuits begin with the scheduler, 1, and the node, 2.
era.CIRCUITS = table.freeze({
  "main_vm",
  "code_decommittments_sorter",
  "code_decommitter",
  "log_demuxer",
  "keccak256_round_function",
  "sha256_round_function",
  "ecrecover",
  "ram_permutation",
  "storage_sorter",
  "storage_application",
  "events_sorter",
  "l1_messages_sorter",
  "l1_messages_hasher",
})
table.freeze(era.ROUNDS)

-- Of a hundred basic circuits of an ordinary batch, how many are of each type, as far as that was ever
-- published (ZKsync's prover, 2024); a type without a share is rare.
local SHARES = { [1] = 74.5, [4] = 0.15, [8] = 2.5, [9] = 0.14, [10] = 6.62 }
-- Types that take longer than main_vm, the longest first.
local SLOWEST = table.freeze({ 8, 9, 10, 2, 11, 12, 4 })

-- The name of a type of basic circuits; a number that is not known gets one too, since versions of the
-- protocol add some.
function era.circuit(number)
  if type(number) ~= "number" or number < 1 or number ~= math.floor(number) then
    error(`era.circuit: a whole number from 1 was expected, got {tostring(number)}`, 2)
  end
  return if number <= #era.CIRCUITS then era.CIRCUITS[number] else `circuit_{number}`
end

-- What an ordinary batch of `total` basic circuits is made of: how many there are of each type, at least
-- one of each that there is a share or a time of. For planning; what a batch really has, its witness tells.
function era.ordinary(total)
  if type(total) ~= "number" or total < #SLOWEST + 1 or total ~= math.floor(total) then
    error(`era.ordinary: a whole number from {#SLOWEST + 1} was expected, got {tostring(total)}`, 2)
  end
  local all = 0
  for _, share in pairs(SHARES) do
    all += share
  end
  local counts, others = {}, 0
  for _, circuit in ipairs(SLOWEST) do
    counts[circuit] = math.max(1, math.round(total * (SHARES[circuit] or 0) / all))
    others += counts[circuit]
  end
  counts[1] = math.max(1, total - others)
  return counts
end

-- The types of `counts`, those that take longest first: who begins them last waits for them at the end.
function era.slowest_first(counts)
  local types = {}
  for circuit, count in pairs(counts) do
    if count > 0 then
      table.insert(types, circuit)
    end
  end
  local function place(circuit)
    return table.find(SLOWEST, circuit) or #SLOWEST + circuit
  end
  table.sort(types, function(a, b)
    return place(a) < place(b)
  end)
  return types
end

-- The basic circuits of one type: a list of { circuit, sequence }.
function era.jobs(circuit, count)
  local jobs = table.create(count)
  for sequence = 0, count - 1 do
    jobs[sequence + 1] = { circuit = circuit, sequence = sequence }
  end
  return jobs
end

-- The number of the leaf circuit for a type.
function era.leaf_circuit(number)
  return number + 2
end

-- The number of a type by its name. Raises for a name that is not known.
function era.circuit_number(name)
  local number = table.find(era.CIRCUITS, name)
  if not number then
    error(`era.circuit_number: there is no circuit {tostring(name)}`, 2)
  end
  return number
end

-- The key of a step: `basic/main_vm/0`, `leaf/main_vm/3`, `node/main_vm/1/0`, `tip`, `scheduler`. `depth`
-- counts the levels of nodes from 0, `index` the steps of one level from 0.
function era.key(round, circuit, depth, index)
  if round == "basic" or round == "leaf" then
    return `{round}/{era.circuit(circuit)}/{index}`
  elseif round == "node" then
    return `node/{era.circuit(circuit)}/{depth}/{index}`
  elseif round == "tip" or round == "scheduler" then
    return round
  end
  error(`era.key: there is no round {tostring(round)}; there is {table.concat(era.ROUNDS, ", ")}`, 2)
end

-- Sorts a list of { circuit, sequence, ... } by types: a list of { circuit, proofs }, the types in the order
-- of their numbers, the proofs of a type by `sequence`, their order in the batch. It may arrive in any
-- order, but must be whole: the sequence of each type is 0, 1, 2 ...
function era.group(proofs)
  local by_circuit, groups = {}, {}
  for at, proof in ipairs(proofs) do
    if type(proof) ~= "table" or type(proof.circuit) ~= "number" or type(proof.sequence) ~= "number" then
      error(`era.group: at position {at}, a table with a circuit and a sequence was expected`, 2)
    end
    local group = by_circuit[proof.circuit]
    if not group then
      group = { circuit = proof.circuit, proofs = {} }
      by_circuit[proof.circuit] = group
      table.insert(groups, group)
    end
    table.insert(group.proofs, proof)
  end
  table.sort(groups, function(a, b)
    return a.circuit < b.circuit
  end)
  for _, group in ipairs(groups) do
    table.sort(group.proofs, function(a, b)
      return a.sequence < b.sequence
    end)
    for at, proof in ipairs(group.proofs) do
      if proof.sequence ~= at - 1 then
        local name = era.circuit(group.circuit)
        error(`era.group: proof {at - 1} of {name} is missing or there twice`, 2)
      end
    end
  end
  return groups
end

-- The steps that put `count` proofs of one type together, level by level: a list of levels, each a list of
-- { round, circuit, depth, key, first, last }, where the step takes what the level before gave at the
-- positions `first` to `last`. The last level has one step, a node.
function era.levels(circuit, count)
  if type(count) ~= "number" or count < 1 or count ~= math.floor(count) then
    error(`era.levels: there are {tostring(count)} proofs; at least one was expected`, 2)
  end
  local levels = {}
  local round, depth = "leaf", 0
  repeat
    local level = {}
    for first = 1, count, era.ARITY do
      table.insert(level, {
        round = round,
        circuit = circuit,
        depth = depth,
        key = era.key(round, circuit, depth, #level),
        first = first,
        last = math.min(first + era.ARITY - 1, count),
      })
    end
    table.insert(levels, level)
    count = #level
    depth = if round == "leaf" then 0 else depth + 1
    local was = round
    round = "node"
  until count == 1 and was == "node"
  return levels
end

-- How many steps each round has for so many basic proofs of each type, `counts[circuit]`: for `total` in
-- ctx:status.
function era.totals(counts)
  local totals = { basic = 0, leaf = 0, node = 0, tip = 1, scheduler = 1 }
  for circuit, count in pairs(counts) do
    totals.basic += count
    -- Not every batch has circuits of every type.
    for _, level in ipairs(if count == 0 then {} else era.levels(circuit, count)) do
      local round = level[1].round
      totals[round] += #level
    end
  end
  return totals
end

-- Puts the proofs of one type together. `step` is called as step(step, proofs) for each step of a level,
-- beside each other, and gives the step's proof: it delegates, tries again, and may wait. Returns the one
-- proof that is left.
function era.aggregate(ctx, circuit, proofs, step)
  for _, level in ipairs(era.levels(circuit, #proofs)) do
    local fibers = {}
    for at, one in ipairs(level) do
      local taken = table.move(proofs, one.first, one.last, 1, {})
      fibers[at] = ctx:spawn(step, one, taken)
    end
    proofs = ctx:all(fibers)
  end
  return proofs[1]
end

-- Cuts the basic circuits of a batch, a list of { circuit, sequence, ... }, into pieces for operators that
-- prove `width` at a time: a list of { circuit, key, first, last, items }, each of one type, since a machine
-- loads the setup of a type before it proves the first.
function era.pieces(proofs, width)
  local pieces = {}
  for _, group in ipairs(era.group(proofs)) do
    for _, piece in ipairs(chunk.cut(group.proofs, width)) do
      table.insert(pieces, {
        circuit = group.circuit,
        key = `basic/{era.circuit(group.circuit)}/{piece.first - 1}-{piece.last - 1}`,
        first = piece.first,
        last = piece.last,
        items = piece.items,
      })
    end
  end
  return pieces
end

return era
