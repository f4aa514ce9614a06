-- What lib/join promises.

local join = require("lib/join")

-- Makes a part of each name beside each other, and joins two by two, leaf by leaf.
local function part(ctx, name)
  local made = ctx:delegate({ kind = "a.make/1", key = `make/{name}`, input = { name = name } }):await()
  return {
    blob = made.value.blob,
    maker = made.items[1].operator,
    again = function()
      return part(ctx, `{name}'`)
    end,
  }
end

local function step(ctx, key, parts)
  return join.parts(ctx, {
    key = key,
    parts = parts,
    gives = "sum",
    which = function(refused)
      return refused.name
    end,
    task = function(current)
      local blobs = {}
      for name, one in current do
        blobs[name] = one.blob
      end
      return { kind = "a.join/1", items = { blobs } }
    end,
  })
end

local one_step = workflow("one_step", {}, function(ctx)
  local joined = step(ctx, "sum", { a = part(ctx, "a"), b = part(ctx, "b") })
  return { sum = joined.blob, maker = joined.maker, anew = joined.again().blob }
end)

local tree = workflow("tree", { input = { leaves = "integer" } }, function(ctx, input)
  local fibers = {}
  for at = 1, input.leaves do
    fibers[at] = ctx:spawn(part, ctx, tostring(at))
  end
  local spans = {}
  local top = join.pairs(ctx, fibers, function(first, last, left, right)
    table.insert(spans, `{first}-{last}`)
    return step(ctx, `node/{first}-{last}`, { left = left, right = right })
  end)
  return { top = top.blob, spans = spans }
end)

local lacking = workflow("lacking", {}, function(ctx)
  return join.parts(ctx, { key = "x" }).blob
end)

-- Makes blobs that say what they are of, and refuses the part `bad` as long as it is what it was.
local function machine(bad)
  return function(task, item)
    if task.kind == "a.make/1" then
      return ok({ blob = blob(task.input.name) })
    end
    if bad and item[bad] and item[bad].hash == blob(bad).hash then
      return ok({ refused = { { name = bad, why = "it is bad" } } })
    end
    return ok({ sum = blob("sum") })
  end
end

describe("join.has_blob", function()
  it("takes a table with the blob and nothing else", function()
    local accept = join.has_blob("sum")
    expect(accept({ sum = blob("x") })):to_equal(true)
    for _, other in { 1, "sum", {}, { sum = "x" }, { sum = {} }, { other = blob("x") }, blob("x") } :: { any } do
      local fits = accept(other)
      expect(fits):to_equal(false)
    end
  end)
end)

describe("join.parts", function()
  it("joins, and joins anew elsewhere", function()
    local run = simulate { workflow = one_step, operators = { alpha = machine(), beta = machine() } }
    expect(run.failure):to_equal(nil)
    expect(run.output.sum):to_equal(blob("sum"))
    local keys, who = {}, {}
    for _, delegation in run.delegations do
      if delegation.kind == "a.join/1" then
        table.insert(keys, delegation.key)
        table.insert(who, delegation.operators[1])
      end
    end
    expect(keys):to_equal({ "sum/1/1", "sum/again/1/1" })
    expect(who[1]):to_equal(run.output.maker)
    expect(who[2]):to_not_equal(who[1])
  end)

  it("makes a refused part again, and is joined by another", function()
    local all = machine("b")
    local run = simulate { workflow = one_step, operators = { alpha = all, beta = all, gamma = all } }
    expect(run.failure):to_equal(nil)
    local made, avoided = {}, {}
    for _, delegation in run.delegations do
      if delegation.kind == "a.make/1" then
        table.insert(made, delegation.key)
      else
        avoided[delegation.key] = #delegation.avoid
      end
    end
    expect(made):to_equal({ "make/a", "make/b", "make/b'" })
    expect(avoided):to_equal({ ["sum/1/1"] = 0, ["sum/2/1"] = 1, ["sum/again/1/1"] = 2 })
    expect(table.concat(run.log, "\n")):to_contain("it is bad")
  end)

  it("gives up after three rounds, and makes nothing for a fourth", function()
    local function liar(task)
      if task.kind == "a.make/1" then
        return ok({ blob = blob(task.input.name) })
      end
      return ok({ refused = { { name = "a", why = "no" } } })
    end
    local run = simulate { workflow = one_step, operators = { alpha = liar, beta = liar, gamma = liar } }
    expect(run.failure.message):to_contain("sum: after 3 rounds")
    local made = 0
    for _, delegation in run.delegations do
      made += if delegation.kind == "a.make/1" then 1 else 0
    end
    expect(made):to_equal(2 + 2)
  end)

  it("says what a step lacks", function()
    local run = simulate { workflow = lacking, operators = { alpha = machine() } }
    expect(run.failure.message):to_contain("join: a step has no task")
  end)
end)

describe("join.pairs", function()
  it("keeps neighbours together, whatever the number", function()
    for leaves = 1, 9 do
      local run = simulate { workflow = tree, input = { leaves = leaves }, operators = { alpha = machine() } }
      expect(run.failure):to_equal(nil)
      expect(#run.output.spans):to_equal(leaves - 1)
      if leaves == 5 then
        table.sort(run.output.spans)
        expect(run.output.spans):to_equal({ "1-2", "1-3", "1-5", "4-5" })
      end
    end
  end)

  it("joins a pair as soon as both are there", function()
    local function slow_last(task)
      if task.kind == "a.make/1" then
        local made = ok({ blob = blob(task.input.name) })
        return if task.input.name == "4" then after("5m", made) else made
      end
      return ok({ sum = blob("sum") })
    end
    local run = simulate {
      workflow = tree,
      input = { leaves = 4 },
      operators = { alpha = { answer = slow_last, machines = 4 } },
    }
    expect(run.failure):to_equal(nil)
    expect(run.output.spans):to_equal({ "1-2", "3-4", "1-4" })
    for _, delegation in run.delegations do
      if delegation.key == "node/1-2/1/1" then
        expect(delegation.ended):to_be_at_most(60)
      end
    end
  end)
end)
