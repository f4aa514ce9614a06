-- The circuit stage of a ZKsync Era batch alone: every basic circuit of an ordinary batch is proved, and
-- nothing is put together. For trying out how to cut the work, on real machines or in `froben sim`:
--
--   froben sim --machines 33 --pipeline scripts/pipelines/era_circuits.lua --profile era --set piece=32
--
-- What decides how long the stage takes is its last piece. A machine loads the setup of a type of circuit
-- before it proves the first of it, and then proves several side by side. So a piece smaller than that
-- width costs more loading and saves no time; a larger one takes one round more for each that it is wider,
-- and that is what everybody waits for if a slow machine gets it.

local era = require("lib/era")
local retry = require("lib/retry")

-- How many circuits an operator proves side by side.
local WIDTH = 16
local JOBS = 500

return workflow("era_circuits", {
  description = "proves the basic circuits of an ordinary ZKsync Era batch, for planning",
  -- How many circuits there are, how many go into one piece, and how long a piece waits for a machine.
  input = { jobs = "integer?", piece = "integer?", patience = "string?" },
  output = { proofs = "integer", pieces = "integer" },
}, function(ctx, input)
  local piece, total = input.piece or WIDTH, input.jobs or JOBS
  if piece < 1 or piece > 1024 then
    ctx:fail(`a piece has 1 to 1024 circuits, not {piece}`)
  end
  if total < 10 or total > 100_000 then
    ctx:fail(`a batch has 10 to 100000 circuits, not {total}`)
  end

  local counts = era.ordinary(total)
  local tasks, first = {}, ctx:now()
  for _, circuit in ipairs(era.slowest_first(counts)) do
    for _, part in ipairs(era.pieces(era.jobs(circuit, counts[circuit]), piece)) do
      table.insert(tasks, {
        kind = "era.basic/1",
        key = part.key,
        items = part.items,
        needs = { vram = "16GiB", ram = "24GiB" },
        timeout = "15m",
        queue_timeout = input.patience or "1h",
      })
    end
  end

  local done = 0
  ctx:status({ phase = "basic", done = 0, total = total })
  retry.each(ctx, tasks, {
    accept = function(value)
      local proof = type(value) == "table" and value.proof
      if getmetatable(proof) == "blob" then
        return true
      end
      return false, "the result has no blob proof"
    end,
    on_item = function()
      done += 1
      ctx:status({ phase = "basic", done = done, total = total })
    end,
  })
  ctx:log(`{total} circuits in {#tasks} pieces took {math.round(ctx:now() - first)} s`)
  return { proofs = done, pieces = #tasks }
end)
