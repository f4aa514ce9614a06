-- What the pipeline fan-out promises: what one machine fails costs its items, and no more.

local NUMBERS = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }
local SUM = 385

local function square(_, item)
  return ok(item * item)
end

local function submit(answer, crash_at)
  return simulate {
    pipeline = "fan-out",
    input = { numbers = NUMBERS },
    operators = { alpha = answer },
    crash_at = crash_at,
  }
end

describe("fan-out", function()
  it("adds up the squares", function()
    local run = submit(square)
    expect(run.state):to_equal("succeeded")
    expect(run.output):to_equal({ sum = SUM, failed = 0 })
    expect(run.status[#run.status]):to_equal({ phase = "square", done = 10, total = 10 })
  end)

  it("cuts the list into pieces", function()
    local run = submit(square)
    local items = 0
    for _, delegation in run.delegations do
      items += delegation.items
    end
    expect(items):to_equal(#NUMBERS)
    expect(#run.delegations):to_be_at_least(2)
  end)

  it("leaves out an item that fails", function()
    local run = submit(function(task, item)
      return if item == 3 then fail("worker_failed", "odd") else square(task, item)
    end)
    expect(run.output):to_equal({ sum = SUM - 9, failed = 1 })
    expect(run.log):to_contain("item 3: worker_failed: odd")
  end)

  it("leaves out what takes too long", function()
    local run = submit(function(task, item)
      return if item == 10 then hang() else square(task, item)
    end)
    expect(run.output):to_equal({ sum = SUM - 100, failed = 1 })
    expect(run.elapsed):to_be_at_least(120)
  end)

  it("keeps what came before a worker died half way", function()
    -- The second item of the second piece: one of that piece was done.
    local run = submit(function(task, item)
      return if item == 4 then die("out of luck") else square(task, item)
    end)
    expect(run.output):to_equal({ sum = SUM - 16, failed = 1 })
    expect(run.delegations[2].items_ok):to_equal(1)
  end)

  it("counts a value that is no number as failed", function()
    local run = submit(function(task, item)
      return if item == 5 then ok("trust me") else square(task, item)
    end)
    expect(run.output):to_equal({ sum = SUM - 25, failed = 1 })
    expect(run.log):to_contain("item 5: alpha sent a string")
  end)

  it("fails if nothing is left", function()
    local run = submit(die())
    expect(run.state):to_equal("failed")
    expect(run.failure.message):to_contain("none of the numbers")
  end)

  it("ends the same wherever the coordinator crashes", function()
    local whole = submit(square)
    expect(whole.state):to_equal("succeeded")
    for write = 1, whole.writes do
      expect(submit(square, write).output):to_equal(whole.output)
    end
  end)
end)
