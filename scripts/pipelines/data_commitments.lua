-- Proves that the digests published for a file, one per hash function, all commit to the same bytes.
--
--   witness    what a prover needs of each segment of the file (CPU)
--   prove      a proof for each segment and each hash
--   bundle     all of them in one file, for whoever has the digests: the end with `until = "bundle"`
--   leaf       some proofs of one hash in one proof
--   node       two of those in one, until one is left of each hash
--   tip        the proofs of all hashes in one
--   schedule   one proof of one digest of it all: the end with `until = "aggregate"`
--   compress   the same in a form that a chain verifies: the end with `until = "snark"`
--
-- This file decides what is done in which order and what happens when something fails. It knows nothing of
-- machines: it says what a task needs, and the coordinator finds who can do it. No stage waits for the one
-- before it as a whole: a leaf begins when its own proofs are there, a node when both of its children are.
--
-- A pipeline is a file that returns a workflow. It reaches the world through `ctx` alone, and every call
-- is written down before it has an effect: after a crash the coordinator runs this function again from
-- the top, feeds it the results that it had, and it arrives where it was.

local chunk = require("lib/chunk")
local join = require("lib/join")
local retry = require("lib/retry")

local SEGMENT_BYTES = 4096
local MOST_SEGMENTS = 256

-- The circuits, how many segments of each one delegation takes at most (the wide ones prove faster), and how
-- many proofs a leaf has room for.
local CIRCUITS = {
  { name = "keccak256", widest = 8, leaf = { dev = 5, standard = 3 } },
  { name = "sha256", widest = 8, leaf = { dev = 2, standard = 1 } },
  { name = "blake3", widest = 16, leaf = { dev = 3, standard = 1 } },
  { name = "poseidon2", widest = 16, leaf = { dev = 6, standard = 14 } },
}

-- What the tasks of each stage need, how long one may take, and how often it is tried. What is late in the
-- pipeline has more behind it that would be lost, and is tried more often.
-- (`shared`: several of these fit on one machine. Without it a CPU task claims the whole machine.)
local LIGHT = { cpu_cores = 1, ram = "256MiB", shared = true }
local CPU = { cpu_cores = 1, ram = "512MiB", shared = true }
local TREE = { vram = "1GiB", ram = "2GiB" }
local STAGES = {
  witness = { kind = "commitments.witness/1", needs = LIGHT, timeout = "2m", attempts = 5 },
  prove = { kind = "commitments.prove/1", needs = { vram = "256MiB" }, timeout = "10m", attempts = 5 },
  bundle = { kind = "commitments.bundle/1", needs = CPU, timeout = "5m", attempts = 5 },
  leaf = { kind = "commitments.leaf/1", needs = TREE, timeout = "15m", attempts = 5 },
  node = { kind = "commitments.node/1", needs = TREE, timeout = "10m", attempts = 6 },
  tip = { kind = "commitments.tip/1", needs = TREE, timeout = "10m", attempts = 8 },
  schedule = { kind = "commitments.schedule/1", needs = TREE, timeout = "10m", attempts = 8 },
  compress = { kind = "commitments.compress/1", needs = { vram = "2GiB", ram = "8GiB" }, timeout = "30m", attempts = 8 },
}

-- The setup that compressing needs, by its SHA-256: `froben-operator keys` puts it into a keystore. A machine without it is
-- not asked.
local SETUPS = {
  dev = "d02fcb273a2dac4aa1f86b20d45c0df0a04008be59ad6a559c56f26f784a9d43",
  standard = "4d813bb1e6ed17c4bd7c5e0b0ad91fe6c5dddda3e54dd8252d28f0f828d8223d",
}

return workflow("data_commitments", {
  description = "proves that Keccak-256, SHA-256, Blake3 and Poseidon2 digests commit to the same file",
  -- Checked before the workflow starts. `params` may be left out, and so may `patience`: how long a task
  -- waits for a machine that can take it. With `check`, witnesses, proofs, leaves and nodes count, and are paid,
  -- only once a trusted machine has held them against the file.
  input = {
    data = "blob",
    params = { "dev", "standard", default = "standard" },
    ["until"] = { "bundle", "aggregate", "snark", default = "bundle" },
    patience = "string?",
    check = "boolean?",
  },
  -- One of the three, as `until` says.
  output = { bundle = "blob?", aggregate = "blob?", snark = "blob?", params = "string" },
}, function(ctx, input)
  -- What cannot be done is refused at once, in words for the person who asked.
  local bytes = input.data.size
  if bytes == 0 then
    ctx:fail("the file is empty: there is nothing to prove")
  end
  if bytes > MOST_SEGMENTS * SEGMENT_BYTES then
    ctx:fail(`the file has {bytes} bytes; one bundle holds at most {MOST_SEGMENTS * SEGMENT_BYTES} (1 MiB)`)
  end
  local params, goal = input.params, input["until"]
  local segments = math.ceil(bytes / SEGMENT_BYTES)
  local check = if input.check then "commitments.check/1" else nil

  -- How far each stage is. They overlap: whoever watches sees what was done last.
  local done, total = {}, {}
  local function begin(stage, count)
    done[stage], total[stage] = 0, count
    ctx:status({ phase = stage, done = 0, total = count })
  end
  local function count(stage)
    done[stage] += 1
    ctx:status({ phase = stage, done = done[stage], total = total[stage] })
  end

  -- A task of a stage: what it is, beside what it is to do.
  local function task(stage, fields)
    local of = STAGES[stage]
    fields.kind, fields.needs = of.kind, fields.needs or of.needs
    fields.timeout, fields.queue_timeout = of.timeout, input.patience
    return fields
  end

  -- 1. Witnesses. One item per segment: a task with many items is handed out as a whole, but each item
  --    has a result, or an error, of its own. The machine reads the file by its hash; only the reference
  --    travels in `input`.
  local indices = {}
  for index = 1, segments do
    indices[index] = { index = index - 1 }
  end
  begin("witness", segments)
  local witness = task("witness", {
    key = "witness",
    input = { data = input.data, segment_bytes = SEGMENT_BYTES },
    items = indices,
    check = check,
  })
  local witnesses = retry.items(ctx, witness, 64, {
    attempts = STAGES.witness.attempts,
    accept = join.has_blob("witness"),
    on_item = function()
      count("witness")
    end,
  })

  -- 2. Proofs. All circuits at once, each cut into pieces that any machine with a device may take. The
  --    library takes the proofs as they arrive, and tries failed segments elsewhere.
  local proofs = {}
  -- Proves the segments from `first` to `last`, counted from 1.
  local function prove(circuit, key, first, last, elsewhere)
    local items = {}
    for index = first, last do
      table.insert(items, { index = index - 1, witness = witnesses[index].witness })
    end
    local piece = task("prove", {
      key = key,
      -- Only whoever checks a proof needs the file.
      input = { circuit = circuit, params = params, data = if check then input.data else nil },
      items = items,
      elsewhere = elsewhere,
      check = check,
    })
    retry.each(ctx, { piece }, {
      attempts = STAGES.prove.attempts,
      accept = join.has_blob("proof"),
      on_item = function(_, position, value, operator)
        local index = first + position - 1
        proofs[circuit][index] = {
          blob = value.proof,
          maker = operator,
          again = function()
            done.prove -= 1
            local times = (proofs[circuit][index].times or 0) + 1
            prove(circuit, `prove/{circuit}/{index}/again-{times}`, index, index, { operator })
            proofs[circuit][index].times = times
            return proofs[circuit][index]
          end,
        }
        count("prove")
      end,
    })
  end

  begin("prove", segments * #CIRCUITS)
  -- For each circuit and segment, the fiber that proves it.
  local proved = {}
  for _, circuit in ipairs(CIRCUITS) do
    local name = circuit.name
    proofs[name], proved[name] = table.create(segments), table.create(segments)
    for _, piece in ipairs(chunk.cut(indices, chunk.width(segments, circuit.widest))) do
      local key = `prove/{name}/{piece.first}-{piece.last}`
      local fiber = ctx:spawn(prove, name, key, piece.first, piece.last)
      for index = piece.first, piece.last do
        proved[name][index] = fiber
      end
    end
  end
  -- Waits for the proofs of a circuit's segments from `first` to `last`; returns them as parts.
  local function await_proofs(circuit, first, last)
    local parts = {}
    for index = first, last do
      proved[circuit][index]:await()
      parts[index] = proofs[circuit][index]
    end
    return parts
  end

  -- A step of a stage, as `join.parts` takes it; `make` gives what its task is about.
  local function step(stage, key, gives, parts, which, make)
    return join.parts(ctx, {
      key = key,
      parts = parts,
      gives = gives,
      which = which,
      task = function(current)
        return task(stage, make(current))
      end,
      retry = { attempts = STAGES[stage].attempts },
    })
  end
  -- The one part of a step that takes one.
  local function only()
    return "proof"
  end

  if goal == "bundle" then
    local parts = {}
    for _, circuit in ipairs(CIRCUITS) do
      for index, part in await_proofs(circuit.name, 1, segments) do
        parts[`{circuit.name} {index - 1}`] = part
      end
    end
    begin("bundle", 1)
    local bundle = step("bundle", "bundle", "bundle", parts, function(refused)
      return `{refused.circuit} {refused.index}`
    end, function(current)
      local columns = {}
      for _, circuit in ipairs(CIRCUITS) do
        columns[circuit.name] = {}
        for index = 1, segments do
          columns[circuit.name][index] = current[`{circuit.name} {index - 1}`].blob
        end
      end
      return { input = { data = input.data, params = params, segments = segments, proofs = columns } }
    end)
    count("bundle")
    return { bundle = bundle.blob, params = params }
  end

  -- 3. Leaves and nodes, each circuit for itself.
  local function leaf(circuit, first, last)
    local parts = await_proofs(circuit, first, last)
    local made = step("leaf", `leaf/{circuit}/{first}-{last}`, "proof", parts, function(refused)
      return type(refused.index) == "number" and refused.index + 1
    end, function(current)
      local blobs = {}
      for index = first, last do
        table.insert(blobs, current[index].blob)
      end
      return {
        input = { data = input.data, circuit = circuit, params = params },
        items = { { first = first - 1, proofs = blobs } },
        check = check,
      }
    end)
    count("leaf")
    return made
  end

  local leaves, widths = 0, {}
  for _, circuit in ipairs(CIRCUITS) do
    widths[circuit.name] = circuit.leaf[params]
    leaves += math.ceil(segments / widths[circuit.name])
  end
  begin("leaf", leaves)
  begin("node", leaves - #CIRCUITS)
  local trees = {}
  for at, circuit in ipairs(CIRCUITS) do
    local name = circuit.name
    local fibers = {}
    for _, piece in ipairs(chunk.cut(indices, widths[name])) do
      table.insert(fibers, ctx:spawn(leaf, name, piece.first, piece.last))
    end
    trees[at] = ctx:spawn(join.pairs, ctx, fibers, function(first, last, left, right)
      local parts = { left = left, right = right }
      local made = step("node", `node/{name}/{first}-{last}`, "proof", parts, function(refused)
        return refused.side
      end, function(current)
        return {
          input = { circuit = name, params = params },
          items = { { left = current.left.blob, right = current.right.blob } },
          check = check,
        }
      end)
      count("node")
      return made
    end)
  end
  local tops = {}
  for at, top in ipairs(ctx:all(trees)) do
    tops[CIRCUITS[at].name] = top
  end

  -- 4. One proof of all circuits, and one digest.
  begin("tip", 1)
  local tip = step("tip", "tip", "proof", tops, function(refused)
    return refused.circuit
  end, function(current)
    local item = {}
    for name, part in current do
      item[name] = part.blob
    end
    return { input = { params = params }, items = { item } }
  end)
  count("tip")
  begin("schedule", 1)
  local aggregate = step("schedule", "schedule", "aggregate", { proof = tip }, only, function(current)
    return { input = { data = input.data, params = params }, items = { { proof = current.proof.blob } } }
  end)
  count("schedule")
  if goal == "aggregate" then
    return { aggregate = aggregate.blob, params = params }
  end

  -- 5. The proof for the chain.
  begin("compress", 1)
  local snark = step("compress", "compress", "snark", { proof = aggregate }, only, function(current)
    local needs = table.clone(STAGES.compress.needs)
    needs.keys = { setup = SETUPS[params] }
    return {
      input = { data = input.data, params = params },
      items = { { aggregate = current.proof.blob } },
      needs = needs,
    }
  end)
  count("compress")
  return { snark = snark.blob, params = params }
end)
