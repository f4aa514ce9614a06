-- Many items, done in pieces by whatever machines there are; what fails is counted and left out.
--
-- A task goes to one machine as a whole, and each of its items has a result of its own. Small pieces
-- spread over many machines and lose little when one of them fails; large ones spend less on handing out.

local chunk = require("lib/chunk")

-- How many items of one piece at most.
local WIDEST = 16
-- How many pieces are handed out at once: the next one goes out when one is over.
local ABREAST = 32

return workflow("fan-out", {
  description = "squares a list of numbers, in pieces, and adds up what succeeded",
  input = { numbers = "list" },
  output = { sum = "number", failed = "integer" },
}, function(ctx, input)
  local count = #input.numbers
  if count == 0 then
    ctx:fail("there are no numbers")
  end
  local done = 0
  local task = {
    kind = "example.square/1",
    key = "square",
    items = input.numbers,
    needs = { cpu_cores = 1, ram = "64MiB", shared = true },
    timeout = "2m",
  }
  local squared = ctx:map(task, {
    width = chunk.width(count, WIDEST),
    concurrency = ABREAST,
    on_item = function()
      done += 1
      ctx:status { phase = "square", done = done, total = count }
    end,
  })

  local sum, failed = 0, 0
  for _, item in ipairs(squared.ok) do
    -- What a machine sends may be anything.
    if type(item.value) == "number" then
      sum += item.value
    else
      failed += 1
      ctx:log(`item {item.index}: {item.operator} sent a {type(item.value)}`)
    end
  end
  for _, item in ipairs(squared.err) do
    failed += 1
    ctx:log(`item {item.index}: {item.err.class}: {item.err.message}`)
  end
  if failed == count then
    ctx:fail("none of the numbers could be squared; the log says why")
  end
  return { sum = sum, failed = failed }
end)
