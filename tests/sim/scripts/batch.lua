-- What every seed runs: pieces of work that may fail, be lost or come back wrong, in fibers beside each
-- other, a timer, and a child. What it returns follows from its input alone, whoever did the work.

local retry = require("lib/retry")

local ATTEMPTS = 60
local KEYS = { ["sim.params"] = string.rep("5eed", 16) }

local function squares(ctx, key, from, to, needs, input)
  local checked = input.checked
  local items = {}
  for n = from, to do
    table.insert(items, n)
  end
  local values = retry.items(
    ctx,
    {
      kind = "sim.square/1",
      key = key,
      items = items,
      needs = needs,
      timeout = "30s",
      -- A check has the same times: one that nobody trusted is there for is to be given up in a while. So is
      -- what there is no money for.
      queue_timeout = if checked or input.scant then "10m" else "24h",
      max_price = input.max_price,
      avoid = if input.avoid then { input.avoid } else nil,
      check = if checked then "sim.check/1" else nil,
    },
    4,
    {
      attempts = ATTEMPTS,
      backoff = 0.1,
      -- The script alone knows what a right answer is, unless somebody trusted has looked at it.
      accept = if checked
        then nil
        else function(value)
          return value.square == value.n * value.n
        end,
    }
  )
  local sum = 0
  for _, value in ipairs(values) do
    sum += value.square
  end
  return sum
end

return workflow("batch", {
  input = {
    n = "integer",
    child = "boolean",
    checked = "boolean",
    scant = "boolean",
    keyed = "boolean",
    max_price = "string?",
    avoid = "string?",
  },
  output = { total = "number" },
}, function(ctx, input)
  local half = input.n // 2
  local smaller = table.clone(input)
  smaller.n, smaller.child = half, false
  local child = if input.child then ctx:run("batch", smaller, { key = "half" }) else nil
  -- All shapes of tasks: a share of a machine, a device, a whole machine that is given up in the end.
  local shared = { cpu_cores = 1, ram = "64MiB", shared = true, keys = if input.keyed then KEYS else nil }
  local device = { vram = "1GiB", ram = "64MiB" }
  local first = ctx:spawn(squares, ctx, "first", 1, half, shared, input)
  local needs = if input.n % 3 == 0 then device else shared
  local second = ctx:spawn(squares, ctx, "second", half + 1, input.n, needs, input)
  local spare = ctx:delegate({
    kind = "sim.square/1",
    key = "spare",
    items = { 1, 2, 3 },
    needs = { ram = "100MiB" },
    timeout = "30s",
    queue_timeout = "24h",
  })
  ctx:sleep("1s")
  local sums = ctx:all({ first, second })
  spare:cancel()
  ctx:status({ phase = "summed", done = input.n, total = input.n })
  local total = sums[1] + sums[2]
  if child then
    local result = child:await()
    if not result.ok then
      ctx:fail(`the child: {result.err.message}`)
    end
    total += result.value.total
  end
  return { total = total }
end)
