-- What the pipeline aggregate promises: every number is in the sum once, whatever machines do.

local NUMBERS = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }
local SUM = 385

-- An honest machine, for both kinds of task.
local function honest(task, item)
  if task.kind == "example.square/1" then
    return ok(item * item)
  end
  local sum = 0
  for _, number in task.input.numbers do
    sum += number
  end
  return ok(sum)
end

-- `answer` has everything first, since beta comes a little later.
local function submit(answer, crash_at)
  return simulate {
    pipeline = "aggregate",
    input = { numbers = NUMBERS },
    operators = { alpha = answer, beta = { answer = honest, joins = "500ms" } },
    crash_at = crash_at,
  }
end

-- Does `deed` once for a task of this kind, when it comes to the item of this number, and is honest else.
local function once(kind, number, deed)
  local spent = false
  return function(task, item, n)
    if task.kind == kind and n == number and not spent then
      spent = true
      return deed
    end
    return honest(task, item)
  end
end

describe("aggregate", function()
  it("adds up the squares", function()
    local run = submit(honest)
    expect(run.state):to_equal("succeeded")
    expect(run.output):to_equal({ sum = SUM })
  end)

  it("adds up while squares are still on their way", function()
    -- The last number takes a minute; the sums of the first eight squares do not wait for it.
    local run = submit(function(task, item)
      return if item == 10 then after("1m", ok(100)) else honest(task, item)
    end)
    expect(run.output):to_equal({ sum = SUM })
    local early = 0
    for _, delegation in run.delegations do
      if delegation.kind == "example.sum/1" and delegation.ended < 60 then
        early += 1
      end
    end
    expect(early):to_equal(2)
  end)

  it("tries elsewhere what fails, at both steps", function()
    for _, kind in { "example.square/1", "example.sum/1" } do
      local run = submit(once(kind, 1, fail("worker_failed")))
      expect(run.output):to_equal({ sum = SUM })
    end
  end)

  it("tries elsewhere what takes too long", function()
    local run = submit(once("example.square/1", 1, hang()))
    expect(run.output):to_equal({ sum = SUM })
    expect(run.elapsed):to_be_at_least(120)
  end)

  it("keeps what came before a worker died half way", function()
    local run = submit(once("example.square/1", 2, die()))
    expect(run.output):to_equal({ sum = SUM })
    local died = 0
    for _, delegation in run.delegations do
      if delegation.err then
        died += 1
        expect(delegation.items_ok):to_equal(1)
      end
    end
    expect(died):to_equal(1)
  end)

  it("tries elsewhere what is no number, at both steps", function()
    for _, kind in { "example.square/1", "example.sum/1" } do
      local run = submit(once(kind, 1, ok("trust me")))
      expect(run.output):to_equal({ sum = SUM })
    end
  end)

  it("fails with the trail when nobody can add up", function()
    local function cannot(task, item)
      return if task.kind == "example.sum/1" then die("no abacus") else honest(task, item)
    end
    local run = simulate {
      pipeline = "aggregate",
      input = { numbers = NUMBERS },
      operators = { alpha = cannot, beta = cannot, gamma = cannot },
    }
    expect(run.state):to_equal("failed")
    expect(run.failure.message):to_contain("after 3 attempts")
    expect(run.failure.message):to_contain("no abacus")
  end)

  it("ends the same wherever the coordinator crashes", function()
    local whole = submit(honest)
    expect(whole.state):to_equal("succeeded")
    for write = 1, whole.writes do
      expect(submit(honest, write).output):to_equal(whole.output)
    end
  end)
end)
