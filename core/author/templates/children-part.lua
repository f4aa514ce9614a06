-- One part of the pipeline children, which runs it as a workflow of its own.

local retry = require("lib/retry")

-- What comes back may be anything. What does not have the right form is tried elsewhere.
local function is_number(value)
  if type(value) == "number" then
    return true
  end
  return false, `a number was expected, got {type(value)}`
end

return workflow("children-part", {
  description = "squares some numbers and adds them up",
  input = { numbers = "list" },
  output = { sum = "number" },
}, function(ctx, input)
  local task = {
    kind = "example.square/1",
    key = "square",
    items = input.numbers,
    needs = { cpu_cores = 1, ram = "64MiB", shared = true },
    timeout = "2m",
  }
  local sum = 0
  for _, square in ipairs(retry.items(ctx, task, 2, { attempts = 3, accept = is_number })) do
    sum += square
  end
  return { sum = sum }
end)
