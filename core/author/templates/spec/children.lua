-- What the pipeline children promises: the whole is the sum of its parts, and a part that fails says why.

local NUMBERS = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }
local SUM = 385

local function square(_, item)
  return ok(item * item)
end

-- `answer` has everything first, since beta comes when it is handed out.
local function submit(answer, crash_at)
  return simulate {
    pipeline = "children",
    input = { numbers = NUMBERS },
    operators = { alpha = answer, beta = { answer = square, joins = "500ms" } },
    crash_at = crash_at,
  }
end

describe("children", function()
  it("adds up what its children found", function()
    local run = submit(square)
    expect(run.state):to_equal("succeeded")
    expect(run.output):to_equal({ sum = SUM })
    expect(run.children):to_equal({
      { pipeline = "children-part", key = "part/1-4", state = "succeeded" },
      { pipeline = "children-part", key = "part/5-8", state = "succeeded" },
      { pipeline = "children-part", key = "part/9-10", state = "succeeded" },
    })
    -- The tasks are the children's.
    expect(run.delegations):to_equal({})
  end)

  it("says which part failed, and why", function()
    local function cannot(task, item)
      return if item == 6 then fail("worker_failed", "no abacus") else square(task, item)
    end
    local run = simulate {
      pipeline = "children",
      input = { numbers = NUMBERS },
      operators = { alpha = cannot, beta = cannot, gamma = cannot },
    }
    expect(run.state):to_equal("failed")
    expect(run.failure.message):to_contain("part/5-8: ")
    expect(run.failure.message):to_contain("no abacus")
    expect(run.children[1].state):to_equal("succeeded")
    expect(run.children[2].state):to_equal("failed")
  end)

  it("has children that outlast a machine that hangs", function()
    local run = submit(hang())
    expect(run.output):to_equal({ sum = SUM })
    expect(run.elapsed):to_be_at_least(120)
  end)

  it("has children that outlast a worker that dies half way", function()
    local run = submit(function(task, item, n)
      return if n % 2 == 0 then die() else square(task, item)
    end)
    expect(run.output):to_equal({ sum = SUM })
  end)

  it("has children that turn down what is no number", function()
    local run = submit(ok("trust me"))
    expect(run.output):to_equal({ sum = SUM })
  end)

  it("takes its children with it when it is cancelled", function()
    local run = simulate {
      pipeline = "children",
      input = { numbers = NUMBERS },
      operators = { alpha = hang() },
      cancel_at = "30s",
    }
    expect(run.state):to_equal("cancelled")
    expect(run.elapsed):to_equal(30)
  end)

  it("can be a part alone", function()
    local run = simulate { pipeline = "children-part", input = { numbers = { 3, 4 } }, operators = { alpha = square } }
    expect(run.output):to_equal({ sum = 25 })
  end)

  it("ends the same wherever the coordinator crashes", function()
    local whole = submit(square)
    expect(whole.state):to_equal("succeeded")
    for write = 1, whole.writes do
      expect(submit(square, write).output):to_equal(whole.output)
    end
  end)
end)
