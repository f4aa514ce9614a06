-- Items that fail are tried again elsewhere.
--
-- The platform retries nothing that a machine failed: the policy is the author's. `lib/retry` is a good
-- one to start from: only the failed items, at once, on another operator, with a fresh key per try; and
-- it is plain Lua, to be read, copied and changed.

local retry = require("lib/retry")

-- What comes back may be anything. What does not have the right form is tried elsewhere.
local function accept(value)
  if type(value) == "number" then
    return true
  end
  return false, `a number was expected, got {type(value)}`
end

return workflow("retry", {
  description = "squares a list of numbers, trying elsewhere what fails",
  input = { numbers = "list" },
  output = { squares = "list" },
}, function(ctx, input)
  local total = #input.numbers
  if total == 0 then
    ctx:fail("there are no numbers")
  end
  local task = {
    kind = "example.square/1",
    key = "square",
    items = input.numbers,
    needs = { cpu_cores = 1, ram = "64MiB", shared = true },
    timeout = "2m",
  }
  local done = 0
  local squares = retry.items(ctx, task, 8, {
    attempts = 3,
    accept = accept,
    on_item = function()
      done += 1
      ctx:status { phase = "square", done = done, total = total }
    end,
  })
  return { squares = squares }
end)
