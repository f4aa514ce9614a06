-- A large job as several workflows, its children, each with a journal, limits and a status of its own.
--
-- Worth it where one workflow would grow past its limits, or where a part makes sense by itself: a seeker
-- can submit the pipeline of the children alone, and `froben list` shows them all.

local chunk = require("lib/chunk")

-- How many numbers one child has.
local PART = 4

return workflow("children", {
  description = "squares a list of numbers and adds them up, each part by a child",
  input = { numbers = "list" },
  output = { sum = "number" },
}, function(ctx, input)
  if #input.numbers == 0 then
    ctx:fail("there are no numbers")
  end
  local children = {}
  for at, piece in ipairs(chunk.cut(input.numbers, PART)) do
    local numbers = { numbers = piece.items }
    children[at] = ctx:run("children-part", numbers, { key = `part/{piece.first}-{piece.last}` })
  end
  local sum = 0
  for at, result in ipairs(ctx:all(children)) do
    -- How a child fails is data, as it is for a task.
    if not result.ok then
      ctx:fail(`{children[at].key}: {result.err.code}: {result.err.message}`)
    end
    sum += result.value.sum
  end
  return { sum = sum }
end)
