-- What the pipeline retry promises: whatever one operator fails, another one mends.

local NUMBERS = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }
local SQUARES = { 1, 4, 9, 16, 25, 36, 49, 64, 81, 100 }

local function square(_, item)
  return ok(item * item)
end

-- `answer` has everything first, since beta comes when it is handed out.
local function submit(answer, crash_at)
  return simulate {
    pipeline = "retry",
    input = { numbers = NUMBERS },
    operators = { alpha = answer, beta = { answer = square, joins = "500ms" } },
    crash_at = crash_at,
  }
end

-- The items that beta mended, by key.
local function mended(run)
  local found = {}
  for _, delegation in run.delegations do
    if delegation.operators[1] == "beta" then
      found[delegation.key] = delegation.items
    end
  end
  return found
end

describe("retry", function()
  it("does once what succeeds", function()
    local run = submit(square)
    expect(run.state):to_equal("succeeded")
    expect(run.output):to_equal({ squares = SQUARES })
    expect(#run.delegations):to_equal(2)
  end)

  it("tries elsewhere the item that failed, and only that", function()
    local run = submit(function(task, item)
      return if item == 3 then fail("out_of_memory") else square(task, item)
    end)
    expect(run.output):to_equal({ squares = SQUARES })
    expect(mended(run)):to_equal({ ["square/1-8/2"] = 1 })
  end)

  it("tries elsewhere what takes too long", function()
    local run = submit(hang())
    expect(run.output):to_equal({ squares = SQUARES })
    expect(mended(run)):to_equal({ ["square/1-8/2"] = 8, ["square/9-10/2"] = 2 })
    expect(run.elapsed):to_be_at_least(120)
  end)

  it("keeps what came before a worker died half way", function()
    local run = submit(function(task, item)
      return if item == 6 then die("out of luck") else square(task, item)
    end)
    expect(run.output):to_equal({ squares = SQUARES })
    -- Items 1 to 5 were done; 6, 7 and 8 died with the worker.
    expect(run.delegations[1].items_ok):to_equal(5)
    expect(mended(run)):to_equal({ ["square/1-8/2"] = 3 })
  end)

  it("tries elsewhere what is no number", function()
    local run = submit(function(task, item)
      return if item == 9 then ok("trust me") else square(task, item)
    end)
    expect(run.output):to_equal({ squares = SQUARES })
    expect(mended(run)):to_equal({ ["square/9-10/2"] = 1 })
  end)

  it("gives up after three attempts and tells them all", function()
    local run = simulate {
      pipeline = "retry",
      input = { numbers = { 1 } },
      operators = { a = die("no luck"), b = die("no luck"), c = die("no luck"), d = die("no luck") },
    }
    expect(run.state):to_equal("failed")
    expect(run.failure.message):to_contain("after 3 attempts")
    expect(#run.delegations):to_equal(3)
  end)

  it("ends the same wherever the coordinator crashes", function()
    local whole = submit(square)
    expect(whole.state):to_equal("succeeded")
    for write = 1, whole.writes do
      expect(submit(square, write).output):to_equal(whole.output)
    end
  end)
end)
