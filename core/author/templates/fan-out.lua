-- Many items, cut into pieces that any machine may take; results are used as they arrive.
--
-- A task goes to one machine as a whole, and each of its items has a result of its own. Small pieces
-- spread over many machines and lose little when one of them fails; large ones spend less on handing out.

local chunk = require("lib/chunk")

-- How many items of one piece at most.
local WIDEST = 16

return workflow("fan-out", {
  description = "squares a list of numbers, in pieces, and adds up what succeeded",
  input = { numbers = "list" },
  output = { sum = "number", failed = "integer" },
}, function(ctx, input)
  local count = #input.numbers
  if count == 0 then
    ctx:fail("there are no numbers")
  end
  local delegations = {}
  for _, piece in ipairs(chunk.cut(input.numbers, chunk.width(count, WIDEST))) do
    local delegation = ctx:delegate {
      kind = "example.square/1",
      key = `square/{piece.first}-{piece.last}`,
      items = piece.items,
      needs = { cpu_cores = 1, ram = "64MiB", shared = true },
      timeout = "2m",
    }
    table.insert(delegations, delegation)
  end

  local sum, failed, done = 0, 0, 0
  for _, item in ctx:stream(delegations) do
    done += 1
    if item.ok then
      sum += item.value
    else
      failed += 1
      ctx:log(`item {item.index} of {item.delegation.key}: {item.err.class}: {item.err.message}`)
    end
    ctx:status { phase = "square", done = done, total = count }
  end
  return { sum = sum, failed = failed }
end)
