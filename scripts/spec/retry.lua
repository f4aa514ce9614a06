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

-- One task of one item, with everything that the policy leaves to the author.
local patient = workflow("patient", {
  input = { attempts = "integer?", budgets = "table?", backoff = "number?" },
}, function(ctx, input)
  local retry = require("lib/retry")
  return retry.one(ctx, { kind = "spec.echo/1", key = "k", timeout = "1m" }, {
    attempts = input.attempts,
    budgets = input.budgets,
    backoff = input.backoff,
    accept = function(value)
      return value == "good", `got {value}`
    end,
  })
end)

-- Two tasks, the first of which is not for alpha.
local pair = workflow("pair", {}, function(ctx, input)
  local retry = require("lib/retry")
  local seen = {}
  local values = retry.each(ctx, {
    { kind = "spec.echo/1", key = "a", items = { 1, 2 }, elsewhere = { "alpha" } },
    { kind = "spec.echo/1", key = "b", items = { 3 } },
  }, {
    on_item = function(task, position, value, operator)
      table.insert(seen, { task = task, position = position, value = value, operator = operator })
    end,
  })
  return { values = values, seen = seen }
end)

-- Misuse, by what is wrong with it.
local misused = workflow("misused", { input = { what = { "key", "option", "budget" } } }, function(ctx, input)
  local retry = require("lib/retry")
  if input.what == "key" then
    retry.each(ctx, { { kind = "spec.echo/1" } })
  elseif input.what == "option" then
    retry.one(ctx, { kind = "spec.echo/1", key = "k" }, { atempts = 3 })
  end
  retry.one(ctx, { kind = "spec.echo/1", key = "k" }, { budgets = { los = 3 } })
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

describe("retry.each", function()
  it("gives values by task and item, and tells of each with its operator", function()
    local run = simulate { workflow = pair, operators = { alpha = echo, beta = { answer = echo, machines = 2 } } }
    expect(run.output.values):to_equal({ { 1, 2 }, { 3 } })
    expect(#run.output.seen):to_equal(3)
    for _, told in run.output.seen do
      expect(told.value):to_equal(run.output.values[told.task][told.position])
      expect(run.delegations[told.task].operators):to_contain(told.operator)
    end
  end)

  it("goes elsewhere from the start where it was told to", function()
    local run = simulate { workflow = pair, operators = { alpha = echo, beta = { answer = echo, machines = 2 } } }
    expect(run.delegations[1].avoid):to_equal({ "alpha" })
    expect(run.delegations[1].operators):to_equal({ "beta" })
    expect(run.delegations[2].avoid):to_equal({})
  end)

  it("goes to those as well if there is nobody else", function()
    local run = simulate { workflow = pair, operators = { alpha = { answer = echo, machines = 2 } } }
    expect(run.output.values):to_equal({ { 1, 2 }, { 3 } })
    expect(keys(run)):to_equal({ "a/1", "b/1", "a/2" })
    expect(run.delegations[1].err.class):to_equal("no_capacity")
  end)

  it("says what is wrong with its options", function()
    for what, why in
      {
        key = "task 1 has no key",
        option = "unknown option atempts; did you mean attempts?",
        budget = "budgets: unknown option los; did you mean lost?",
      }
    do
      local run = simulate { workflow = misused, input = { what = what } }
      expect(run.failure.message):to_contain(why)
      expect(run.failure.message):to_contain("spec/retry.lua:")
      expect(run.delegations):to_equal({})
    end
  end)
end)

-- Five operators that all do the same.
local function all(reply)
  return { a = reply, b = reply, c = reply, d = reply, e = reply }
end

describe("the budgets of retry", function()
  local deeds = {
    lost = disconnect(),
    timeout = hang(),
    out_of_memory = fail("out_of_memory"),
    invalid = ok("bad"),
    error = die(),
  }
  local classes = {
    lost = "disconnected",
    timeout = "timeout",
    out_of_memory = "out_of_memory",
    invalid = "invalid_result",
    error = "worker_failed",
  }
  for cause, deed in deeds do
    it(`has one for {cause}`, function()
      for budget = 1, 3 do
        local run = simulate {
          workflow = patient,
          input = { attempts = 5, budgets = { [cause] = budget } },
          operators = all(deed),
        }
        expect(run.state):to_equal("failed")
        expect(run.failure.message):to_contain(`after {budget} attempts`)
        expect(run.failure.message):to_contain(`try {budget}: {classes[cause]} at `)
        expect(#run.delegations):to_equal(budget)
      end
    end)

    it(`leaves the others alone when {cause} has little`, function()
      for other, reply in deeds do
        if other ~= cause then
          local run = simulate {
            workflow = patient,
            input = { attempts = 3, budgets = { [cause] = 1, lost = if cause == "lost" then 1 else 3 } },
            operators = all(reply),
          }
          expect(#run.delegations):to_equal(3)
        end
      end
    end)
  end

  it("counts what a machine calls invalid with what the script does not accept", function()
    local run = simulate {
      workflow = patient,
      input = { budgets = { invalid = 2 } },
      operators = { a = ok("bad"), b = fail("invalid_result"), c = ok("bad"), d = fail("invalid_result") },
    }
    expect(#run.delegations):to_equal(2)
    expect(run.failure.message):to_contain("after 2 attempts")
  end)

  it("lets one failure of every cause pass with two attempts each", function()
    local run = simulate {
      workflow = patient,
      input = { attempts = 2 },
      operators = {
        a = { disconnect("1s"), hang(), fail("out_of_memory"), ok("bad"), die(), ok("good") },
      },
    }
    expect(run.output):to_equal("good")
    local had = {}
    for _, delegation in run.delegations do
      -- Between two tries, nobody else could take it.
      if delegation.err and delegation.err.class ~= "no_capacity" then
        table.insert(had, delegation.err.class)
      end
    end
    -- The value that was not acceptable is no error of the platform's.
    expect(had):to_equal({ "disconnected", "timeout", "out_of_memory", "worker_failed" })
  end)

  it("is twice as patient with what is lost", function()
    local run = simulate { workflow = patient, input = { attempts = 2 }, operators = all(disconnect()) }
    expect(run.failure.message):to_contain("after 4 attempts")
    expect(#run.delegations):to_equal(4)
  end)

  it("has five attempts if nothing is said", function()
    local run = simulate { workflow = patient, operators = all(die()) }
    expect(run.failure.message):to_contain("after 5 attempts")
  end)
end)

describe("a bad request of retry", function()
  local no = fail("bad_request", "no such circuit")
  -- Comes when `a` has the task already.
  local function later(answer, joins)
    return { answer = answer, joins = joins or "500ms" }
  end

  it("is not believed on the word of one operator", function()
    local run = simulate { workflow = patient, operators = { a = no, b = later(ok("good")) } }
    expect(run.output):to_equal("good")
    expect(#run.delegations):to_equal(2)
    expect(run.delegations[2].avoid):to_equal({ "a" })
    expect(run.delegations[2].operators):to_equal({ "b" })
    expect(run.log):to_contain("k: 1 items failed, try 1: bad_request at a: no such circuit")
  end)

  it("is one when a second operator says so", function()
    local run = simulate {
      workflow = patient,
      operators = { a = no, b = later(no), c = later(ok("good"), "10s") },
    }
    expect(run.failure.message):to_contain("which no machine can do by the word of a and b")
    for try, operator in { "a", "b" } do
      expect(run.failure.message):to_contain(`try {try}: bad_request at {operator}: no such circuit`)
    end
    expect(#run.delegations):to_equal(2)
  end)

  it("is one when nobody else is there to say otherwise", function()
    local run = simulate { workflow = patient, operators = { a = no } }
    expect(run.failure.message):to_contain("try 1: bad_request at a: no such circuit; try 2: no_capacity")
    expect(run.failure.message):to_contain("by the word of a; nobody else took it to say otherwise")
    expect(keys(run)):to_equal({ "k/1", "k/2" })
    expect(run.sleeps):to_equal({})
    -- A second for the answer, two minutes of waiting for another one.
    expect(run.elapsed):to_equal(121)
  end)

  it("waits longer for a second operator than other failures", function()
    local run = simulate { workflow = patient, operators = { a = no, b = later(ok("good"), "2m") } }
    expect(run.output):to_equal("good")
  end)

  it("keeps a task from who called it one, and from nobody else who failed it", function()
    local run = simulate { workflow = patient, operators = { a = no, b = later({ die(), ok("good") }) } }
    expect(run.output):to_equal("good")
    local avoided = {}
    for _, delegation in run.delegations do
      table.insert(avoided, delegation.avoid)
    end
    expect(avoided):to_equal({ {}, { "a" }, { "a", "b" }, { "a" } })
    expect(run.sleeps):to_equal({ 0.5 })
  end)

  it("takes two operators for one item, not one for each of two", function()
    local asked = 0
    local run = simulate {
      workflow = five,
      operators = {
        alpha = {
          machines = 3,
          answer = function(task, item)
            if item == 1 then
              return no
            elseif item == 2 then
              asked += 1
              return if asked == 1 then die() else ok(item)
            end
            return ok(item)
          end,
        },
        beta = later(function(task, item)
          return if item == 2 then no else ok(item)
        end),
      },
    }
    expect(run.output.values):to_equal({ 1, 2, 3, 4, 5 })
  end)

  it("has a budget: how many operators have to say so", function()
    for budget, operators in { "a", "a and b", "a and b and c" } do
      local run = simulate {
        workflow = patient,
        input = { budgets = { bad_request = budget } },
        operators = { a = no, b = later(no), c = later(no, "2s"), d = later(ok("good"), "4s") },
      }
      expect(run.failure.message):to_contain(`by the word of {operators}: try 1`)
      expect(#run.delegations):to_equal(budget)
    end
  end)

  it("is believed at once by who wants one attempt", function()
    local run = simulate { workflow = patient, input = { attempts = 1 }, operators = { a = no, b = later(ok("good")) } }
    expect(run.failure.message):to_contain("by the word of a: try 1")
  end)
end)

describe("the backoff of retry", function()
  it("doubles, by the clock", function()
    local run = simulate { workflow = patient, input = { attempts = 5, backoff = 2 }, operators = all(die()) }
    expect(run.sleeps):to_equal({ 2, 4, 8, 16 })
    for try = 2, 5 do
      local before, after = run.delegations[try - 1].ended, run.delegations[try].assigned
      expect(after - before):to_equal(2 ^ (try - 1))
    end
    -- Each try takes a second.
    expect(run.elapsed):to_equal(2 + 4 + 8 + 16 + 5)
  end)

  it("never pauses for more than a minute", function()
    local run = simulate { workflow = patient, input = { backoff = 25 }, operators = all(die()) }
    expect(run.sleeps):to_equal({ 25, 50, 60, 60 })
  end)

  it("outlives a crash in the middle of a pause", function()
    -- Whatever a has failed, b mends it half a minute later.
    local function run(crash_at)
      return simulate {
        workflow = patient,
        input = { backoff = 30 },
        operators = { a = die(), b = { answer = ok("good"), joins = "500ms" } },
        crash_at = crash_at,
      }
    end
    local whole = run()
    expect(whole.sleeps):to_equal({ 30 })
    for write = 1, whole.writes do
      expect(run(write).output):to_equal("good")
    end
  end)
end)

describe("the trail of retry", function()
  it("goes to another operator each time, and avoids all that failed it", function()
    local run = simulate { workflow = patient, operators = all(die("no luck")) }
    expect(#run.delegations):to_equal(5)
    local failed = {}
    for _, delegation in run.delegations do
      expect(delegation.avoid):to_equal(failed)
      expect(#delegation.operators):to_equal(1)
      local had = delegation.operators[1]
      expect(table.find(failed, had)):to_equal(nil)
      table.insert(failed, had)
    end
  end)

  it("gives every attempt a job of its own, with what became of it", function()
    local run = simulate { workflow = patient, operators = all(die("no luck")) }
    expect(keys(run)):to_equal({ "k/1", "k/2", "k/3", "k/4", "k/5" })
    for try, delegation in run.delegations do
      expect(delegation.state):to_equal("failed")
      expect(delegation.attempts):to_equal(1)
      expect(delegation.err.class):to_equal("worker_failed")
      expect(delegation.err.operator):to_equal(delegation.operators[1])
      local told = `try {try}: worker_failed at {delegation.operators[1]}: no luck`
      expect(run.failure.message):to_contain(told)
      expect(run.log):to_contain(`k: 1 items failed, {told}`)
    end
  end)

  it("tells why a value was not accepted", function()
    local run = simulate { workflow = patient, input = { attempts = 1 }, operators = { a = ok("bad") } }
    expect(run.failure.message):to_contain("try 1: invalid_result at a: got bad")
  end)
end)
