-- What every seed runs: pieces of work that may fail, be lost or come back wrong, in fibers beside each
-- other, a timer, and a child. What it returns follows from its input alone, whoever did the work.

local retry = require("lib/retry")

local ATTEMPTS = 60

local function squares(ctx, key, from, to, needs)
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
      queue_timeout = "24h",
    },
    4,
    {
      attempts = ATTEMPTS,
      backoff = 0.1,
      -- The script alone knows what a right answer is.
      accept = function(value)
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
  input = { n = "integer", child = "boolean" },
  output = { total = "number" },
}, function(ctx, input)
  local half = input.n // 2
  local child = if input.child then ctx:run("batch", { n = half, child = false }, { key = "half" }) else nil
  -- All shapes of tasks: a share of a machine, a device, a whole machine that is given up in the end.
  local shared = { cpu_cores = 1, ram = "64MiB", shared = true }
  local device = { vram = "1GiB", ram = "64MiB" }
  local first = ctx:spawn(squares, ctx, "first", 1, half, shared)
  local second = ctx:spawn(squares, ctx, "second", half + 1, input.n, if input.n % 3 == 0 then device else shared)
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
