-- Proves that the digests published for a file, one per hash function, all commit to the same bytes.
--
-- The file is cut into segments. For each segment and each hash there is one proof; a bundle holds them
-- all and convinces anyone who has the digests. This file decides what is done in which order and what
-- happens when something fails. It knows nothing of machines: it says what a task needs, and the
-- coordinator finds who can do it.
--
-- A pipeline is a file that returns a workflow. It reaches the world through `ctx` alone, and every call
-- is written down before it has an effect: after a crash the coordinator runs this function again from
-- the top, feeds it the results that it had, and it arrives where it was.

local chunk = require("lib/chunk")
local retry = require("lib/retry")

local SEGMENT_BYTES = 4096
local MOST_SEGMENTS = 256
-- How often a bundle is tried: whoever makes it may find that some proofs do not hold.
local MOST_ROUNDS = 3

-- The circuits, and how many segments of each one delegation takes at most. The wide ones prove faster.
local CIRCUITS = {
  { name = "keccak256", widest = 8 },
  { name = "sha256", widest = 8 },
  { name = "blake3", widest = 16 },
  { name = "poseidon2", widest = 16 },
}

-- Accepts a result that has a blob under `name`. A machine may return anything; what does not have the
-- right form is tried elsewhere. (Type blobs are tables with a hash and a size that only the host makes.)
local function has_blob(name)
  return function(value)
    local found = type(value) == "table" and value[name]
    if getmetatable(found) == "blob" then
      return true
    end
    return false, `the result has no blob {name}`
  end
end

-- Accepts a bundle, or in its place a list of proofs that do not hold: { circuit, index, why }.
local function bundled_or_refused(proofs)
  local has_bundle = has_blob("bundle")
  return function(value)
    local refused = type(value) == "table" and value.bundle == nil and value.refused
    if type(refused) ~= "table" or #refused == 0 then
      return has_bundle(value)
    end
    local seen = {}
    for _, one in ipairs(refused) do
      local of_circuit = type(one) == "table" and type(one.circuit) == "string" and proofs[one.circuit]
      local index = of_circuit and type(one.index) == "number" and one.index + 1
      local proof = index and of_circuit[index]
      if not proof or seen[proof] then
        return false, "it refuses a proof that there is not, or one twice"
      end
      seen[proof] = true
    end
    return true
  end
end

return workflow("data_commitments", {
  description = "proves that Keccak-256, SHA-256, Blake3 and Poseidon2 digests commit to the same file",
  -- Checked before the workflow starts. `params` may be left out, and so may `patience`: how long a task
  -- waits for a machine that can take it. With `check`, witnesses and proofs count, and are paid, only once a
  -- trusted machine has held them against the file.
  input = {
    data = "blob",
    params = { "dev", "standard", default = "standard" },
    patience = "string?",
    check = "boolean?",
  },
  output = { bundle = "blob", params = "string" },
}, function(ctx, input)
  -- What cannot be done is refused at once, in words for the person who asked.
  local bytes = input.data.size
  if bytes == 0 then
    ctx:fail("the file is empty: there is nothing to prove")
  end
  if bytes > MOST_SEGMENTS * SEGMENT_BYTES then
    ctx:fail(`the file has {bytes} bytes; one bundle holds at most {MOST_SEGMENTS * SEGMENT_BYTES} (1 MiB)`)
  end
  local segments = math.ceil(bytes / SEGMENT_BYTES)
  local check = if input.check then "commitments.check/1" else nil

  -- 1. Witnesses. One item per segment: a task with many items is handed out as a whole, but each item
  --    has a result, or an error, of its own. The machine reads the file by its hash; only the reference
  --    travels in `input`.
  local indices = {}
  for index = 1, segments do
    indices[index] = { index = index - 1 }
  end
  local done = 0
  ctx:status({ phase = "witness", done = 0, total = segments })
  local witness = {
    kind = "commitments.witness/1",
    key = "witness",
    input = { data = input.data, segment_bytes = SEGMENT_BYTES },
    items = indices,
    -- `shared`: several of these fit on one machine. Without it a CPU task claims the whole machine.
    needs = { cpu_cores = 1, ram = "256MiB", shared = true },
    timeout = "2m",
    queue_timeout = input.patience,
    check = check,
  }
  local witnesses = retry.items(ctx, witness, 64, {
    accept = has_blob("witness"),
    on_item = function()
      done += 1
      ctx:status({ phase = "witness", done = done, total = segments })
    end,
  })

  -- 2. Proofs. All circuits at once, each cut into pieces that any machine with a device may take. The
  --    library hands them out, takes the proofs as they arrive, and tries failed segments elsewhere.
  local proofs, provers = {}, {}
  for _, circuit in ipairs(CIRCUITS) do
    proofs[circuit.name], provers[circuit.name] = table.create(segments), {}
  end
  local proved, wanted = 0, segments * #CIRCUITS

  -- Proves every piece of the list: { circuit, key, first, last, elsewhere }, segments counted from 1.
  local function prove(pieces)
    ctx:status({ phase = "prove", done = proved, total = wanted })
    local tasks = {}
    for at, piece in ipairs(pieces) do
      local items = {}
      for index = piece.first, piece.last do
        table.insert(items, { index = index - 1, witness = witnesses[index].witness })
      end
      tasks[at] = {
        kind = "commitments.prove/1",
        key = piece.key,
        -- Only whoever checks a proof needs the file.
        input = { circuit = piece.circuit, params = input.params, data = if check then input.data else nil },
        items = items,
        elsewhere = piece.elsewhere,
        needs = { vram = "256MiB" },
        timeout = "10m",
        queue_timeout = input.patience,
        check = check,
      }
    end
    retry.each(ctx, tasks, {
      attempts = 5,
      accept = has_blob("proof"),
      on_item = function(task, position, value, operator)
        local piece = pieces[task]
        local index = piece.first + position - 1
        proofs[piece.circuit][index], provers[piece.circuit][index] = value.proof, operator
        proved += 1
        ctx:status({ phase = "prove", done = proved, total = wanted })
      end,
    })
  end

  local pieces = {}
  for _, circuit in ipairs(CIRCUITS) do
    for _, piece in ipairs(chunk.cut(indices, chunk.width(segments, circuit.widest))) do
      local key = `prove/{circuit.name}/{piece.first}-{piece.last}`
      table.insert(pieces, { circuit = circuit.name, key = key, first = piece.first, last = piece.last })
    end
  end
  prove(pieces)

  -- 3. The bundle: one task of one item. The proofs are named by their hashes; the machine fetches them,
  --    verifies each, and makes a bundle or names those that do not hold. They are proved again, by
  --    others than before if there are any.
  for round = 1, MOST_ROUNDS do
    ctx:status({ phase = "bundle", done = 0, total = 1 })
    local result = retry.one(ctx, {
      kind = "commitments.bundle/1",
      key = `bundle/{round}`,
      input = { data = input.data, params = input.params, segments = segments, proofs = proofs },
      needs = { cpu_cores = 1, ram = "512MiB", shared = true },
      timeout = "5m",
      queue_timeout = input.patience,
    }, { accept = bundled_or_refused(proofs) })
    if result.bundle then
      ctx:status({ phase = "bundle", done = 1, total = 1 })
      return { bundle = result.bundle, params = input.params }
    end

    local again = {}
    for at, refused in ipairs(result.refused) do
      local index, circuit = refused.index + 1, refused.circuit
      local prover = provers[circuit][index]
      ctx:log(`a {circuit} proof of segment {refused.index}, by {prover}, does not hold: {refused.why}`)
      again[at] = {
        circuit = circuit,
        key = `prove/{circuit}/{index}/again-{round}`,
        first = index,
        last = index,
        elsewhere = { prover },
      }
    end
    proved -= #again
    prove(again)
  end
  ctx:fail(`after {MOST_ROUNDS} rounds some proofs still do not hold; the log says whose they were`)
end)
