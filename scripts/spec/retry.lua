-- What lib/retry promises, against operators that fail on purpose.

local five = workflow("five", {}, function(ctx, input)
  local retry = require("lib/retry")
  local seen = {}
  local values = retry.items(ctx, { kind = "spec.echo/1", key = "job", items = { 1, 2, 3, 4, 5 } }, 2, {
    on_item = function(i, value)
      seen[i] = value
    end,
  })
  return { values = values, seen = seen }
end)

local one = workflow("one", { input = { attempts = "integer?" } }, function(ctx, input)
  local retry = require("lib/retry")
  return retry.one(ctx, { kind = "spec.echo/1", key = "k", timeout = "1m" }, {
    attempts = input.attempts or 5,
    accept = function(value)
      return value == "good", `got {value}`
    end,
  })
end)

local function keys(run)
  local found = {}
  for _, delegation in run.delegations do
    table.insert(found, delegation.key)
  end
  return found
end

local function echo(task, item)
  return ok(item)
end

describe("retry.items", function()
  it("does once what succeeds", function()
    local run = simulate { workflow = five, operators = { alpha = echo } }
    expect(run.state):to_equal("succeeded")
    expect(run.output.values):to_equal({ 1, 2, 3, 4, 5 })
    expect(run.output.seen):to_equal({ 1, 2, 3, 4, 5 })
    expect(keys(run)):to_equal({ "job/1-2/1", "job/3-4/1", "job/5-5/1" })
    expect(run.sleeps):to_equal({})
  end)

  it("tries only failed items again, and elsewhere", function()
    local run = simulate {
      workflow = five,
      operators = {
        alpha = {
          machines = 3,
          answer = function(task, item)
            return if item == 2 then fail("worker_failed") else ok(item)
          end,
        },
        -- It comes when the first round is handed out.
        beta = { answer = echo, joins = "500ms" },
      },
    }
    expect(run.output.values):to_equal({ 1, 2, 3, 4, 5 })
    expect(keys(run)):to_equal({ "job/1-2/1", "job/3-4/1", "job/5-5/1", "job/1-2/2" })
    local again = run.delegations[4]
    expect(again.items):to_equal(1)
    expect(again.avoid):to_equal({ "alpha" })
    expect(again.operators):to_equal({ "beta" })
  end)

  it("keeps what came before a worker died half way", function()
    local deaths = 0
    local run = simulate {
      workflow = five,
      operators = {
        alpha = function(task, item, n)
          if n == 2 and deaths < 2 then
            deaths += 1
            return die("out of luck")
          end
          return ok(item)
        end,
        beta = echo,
      },
    }
    expect(run.output.values):to_equal({ 1, 2, 3, 4, 5 })
    for _, delegation in run.delegations do
      if delegation.err then
        expect(delegation.err.class):to_equal("worker_failed")
        expect(delegation.items_ok):to_equal(1)
      end
    end
  end)

  it("goes on when a machine disconnects", function()
    local run = simulate {
      workflow = five,
      operators = { alpha = disconnect(), beta = echo },
    }
    expect(run.state):to_equal("succeeded")
    expect(run.sleeps):to_equal({})
  end)

  it("comes back to a lone operator after a pause", function()
    local deaths = 2
    local run = simulate {
      workflow = five,
      operators = {
        alpha = function(task, item)
          if item == 1 and deaths > 0 then
            deaths -= 1
            return die()
          end
          return ok(item)
        end,
      },
    }
    expect(run.state):to_equal("succeeded")
    expect(run.sleeps):to_equal({ 0.5, 1 })
  end)

  it("ends the same after a crash of the coordinator at any write", function()
    local operators = { alpha = { answer = echo, machines = 2 } }
    local whole = simulate { workflow = five, operators = operators, seed = 1 }
    for write = 1, whole.writes do
      local run = simulate { workflow = five, operators = operators, seed = 1, crash_at = write }
      expect(run.restarts):to_equal(1)
      expect(run.output):to_equal(whole.output)
      expect(keys(run)):to_equal(keys(whole))
    end
  end)
end)

describe("retry.one", function()
  it("gives up after its attempts, with the whole trail", function()
    local run = simulate {
      workflow = one,
      input = { attempts = 3 },
      operators = { a = die("no luck"), b = die("no luck"), c = die("no luck") },
    }
    expect(run.state):to_equal("failed")
    expect(run.failure.code):to_equal("FRB-LUA-002")
    expect(run.failure.message):to_contain("after 3 attempts")
    expect(run.failure.message):to_contain("try 3: worker_failed at ")
    expect(keys(run)):to_equal({ "k/1", "k/2", "k/3" })
    local had = {}
    for _, delegation in run.delegations do
      had[delegation.operators[1]] = true
    end
    expect(had):to_equal({ a = true, b = true, c = true })
  end)

  it("keeps a budget for each cause", function()
    local run = simulate {
      workflow = one,
      input = { attempts = 2 },
      operators = {
        a = fail("out_of_memory", "2 GiB short"),
        b = die(),
        c = disconnect(),
        d = ok("bad"),
        e = ok("good"),
      },
    }
    -- Whoever is asked before e fails for a reason of his own, and nobody is asked twice.
    expect(run.output):to_equal("good")
    expect(#run.delegations):to_be_at_most(5)
  end)

  it("tries elsewhere what is not acceptable", function()
    local run = simulate { workflow = one, operators = { a = ok("bad"), b = ok("good") } }
    expect(run.output):to_equal("good")
    local last = run.delegations[#run.delegations]
    expect(last.operators):to_equal({ "b" })
    expect(last.avoid):to_equal(if #run.delegations == 2 then { "a" } else {})
  end)

  it("does not try again what no machine can mend", function()
    local run = simulate {
      workflow = one,
      operators = { a = fail("bad_request", "no such circuit"), b = ok("good") },
    }
    if run.delegations[1].operators[1] == "a" then
      expect(run.failure.message):to_contain("which no other machine can mend")
    end
    expect(#run.delegations):to_equal(1)
  end)

  it("outlasts an operator that hangs", function()
    local run = simulate { workflow = one, operators = { a = { hang(), ok("good") } } }
    expect(run.output):to_equal("good")
    expect(run.delegations[1].state):to_equal("timed_out")
    expect(run.delegations[1].err.class):to_equal("timeout")
    -- A minute until the time is up, ten seconds of waiting for somebody else.
    expect(run.elapsed):to_be_at_least(70):to_be_at_most(90)
  end)

  it("waits for a slow operator as long as it may", function()
    local run = simulate { workflow = one, operators = { a = after("59s", ok("good")) } }
    expect(run.output):to_equal("good")
    expect(#run.delegations):to_equal(1)
    expect(run.elapsed):to_equal(59)
  end)

  it("says that nobody could take it", function()
    local run = simulate { workflow = one }
    expect(run.failure.message):to_contain("for want of a machine")
  end)

  it("is cancelled with its workflow", function()
    local run = simulate { workflow = one, operators = { a = hang() }, cancel_at = "30s" }
    expect(run.state):to_equal("cancelled")
    expect(run.delegations[1].state):to_equal("cancelled")
    expect(run.elapsed):to_equal(30)
  end)
end)
