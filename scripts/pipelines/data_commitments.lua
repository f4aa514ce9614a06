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

return workflow("data_commitments", {
  description = "proves that Keccak-256, SHA-256, Blake3 and Poseidon2 digests commit to the same file",
  -- Checked before the workflow starts. `params` may be left out.
  input = { data = "blob", params = { "dev", "standard", default = "standard" } },
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

  -- 1. Witnesses. One item per segment: a task with many items is handed out as a whole, but each item
  --    has a result, or an error, of its own. The machine reads the file by its hash; only the reference
  --    travels in `input`.
  local indices = {}
  for index = 1, segments do
    indices[index] = { index = index - 1 }
  end
  local done = 0
  ctx:status({ phase = "witness", done = 0, total = segments })
  local witnesses = retry.items(ctx, {
    kind = "commitments.witness/1",
    key = "witness",
    input = { data = input.data, segment_bytes = SEGMENT_BYTES },
    items = indices,
    -- `shared`: several of these fit on one machine. Without it a CPU task claims the whole machine.
    needs = { cpu_cores = 1, ram = "256MiB", shared = true },
    timeout = "2m",
  }, 64, {
    accept = has_blob("witness"),
    on_item = function()
      done += 1
      ctx:status({ phase = "witness", done = done, total = segments })
    end,
  })

  -- 2. Proofs. All circuits at once, each cut into pieces that any machine with a device may take. The
  --    library hands them out, takes the proofs as they arrive, and tries failed segments elsewhere.
  local tasks, places = {}, {}
  local proofs = {}
  for _, circuit in ipairs(CIRCUITS) do
    local items = {}
    for index = 1, segments do
      items[index] = { index = index - 1, witness = witnesses[index].witness }
    end
    for _, piece in ipairs(chunk.cut(items, chunk.width(segments, circuit.widest))) do
      table.insert(tasks, {
        kind = "commitments.prove/1",
        key = `prove/{circuit.name}/{piece.first}-{piece.last}`,
        input = { circuit = circuit.name, params = input.params },
        items = piece.items,
        needs = { vram = "256MiB" },
        timeout = "10m",
      })
      table.insert(places, { circuit = circuit.name, first = piece.first })
    end
    proofs[circuit.name] = table.create(segments)
  end
  done = 0
  ctx:status({ phase = "prove", done = 0, total = segments * #CIRCUITS })
  retry.each(ctx, tasks, {
    attempts = 5,
    accept = has_blob("proof"),
    on_item = function(task, position, value)
      local place = places[task]
      proofs[place.circuit][place.first + position - 1] = value.proof
      done += 1
      ctx:status({ phase = "prove", done = done, total = segments * #CIRCUITS })
    end,
  })

  -- 3. The bundle: one task of one item. The proofs are named by their hashes; the machine fetches them.
  ctx:status({ phase = "bundle", done = 0, total = 1 })
  local result = retry.one(ctx, {
    kind = "commitments.bundle/1",
    key = "bundle",
    input = { data = input.data, params = input.params, segments = segments, proofs = proofs },
    needs = { cpu_cores = 1, ram = "512MiB", shared = true },
    timeout = "5m",
  }, { accept = has_blob("bundle") })
  ctx:status({ phase = "bundle", done = 1, total = 1 })

  return { bundle = result.bundle, params = input.params }
end)
