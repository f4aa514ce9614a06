-- Results are put together while others are still on their way.
--
-- `lib/retry` calls `on_item` as each value arrives. As soon as enough of them are there, a fiber has a
-- machine put them together, so that machines need not wait for each other's last item. What fails is
-- tried again elsewhere, on the way up too.

local chunk = require("lib/chunk")
local retry = require("lib/retry")

-- How many values are put together at a time.
local ARITY = 4
local ATTEMPTS = 3
local NEEDS = { cpu_cores = 1, ram = "64MiB", shared = true }

-- What comes back may be anything. What does not have the right form is tried elsewhere.
local function is_number(value)
  if type(value) == "number" then
    return true
  end
  return false, `a number was expected, got {type(value)}`
end

-- Has a machine add up `numbers`.
local function add_up(ctx, key, numbers)
  local task = { kind = "example.sum/1", key = key, input = { numbers = numbers }, needs = NEEDS, timeout = "2m" }
  return retry.one(ctx, task, { attempts = ATTEMPTS, accept = is_number })
end

return workflow("aggregate", {
  description = "squares a list of numbers and adds the squares up as they arrive",
  input = { numbers = "list" },
  output = { sum = "number" },
}, function(ctx, input)
  local total = #input.numbers
  if total == 0 then
    ctx:fail("there are no numbers")
  end
  local sums, arrived, done = {}, {}, 0

  local function put_together()
    local key = `sum/{#sums + 1}`
    table.insert(sums, ctx:spawn(add_up, ctx, key, arrived))
    arrived = {}
  end

  local task = { kind = "example.square/1", key = "square", items = input.numbers, needs = NEEDS, timeout = "2m" }
  retry.items(ctx, task, chunk.width(total, 8), {
    attempts = ATTEMPTS,
    accept = is_number,
    on_item = function(_, square)
      table.insert(arrived, square)
      if #arrived == ARITY then
        put_together()
      end
      done += 1
      ctx:status { phase = "square", done = done, total = total }
    end,
  })
  if #arrived > 0 then
    put_together()
  end
  ctx:status { phase = "sum", done = 0, total = 1 }
  return { sum = add_up(ctx, "sum/all", ctx:all(sums)) }
end)
