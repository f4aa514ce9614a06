-- What the pipeline hello promises. `froben test` runs this without a network: operators do as they are
-- told here, and the clock jumps to whatever is due next.

local function greet(answer, crash_at)
  return simulate {
    pipeline = "hello",
    input = { name = "Ada" },
    operators = { alpha = answer },
    crash_at = crash_at,
  }
end

local function politely(task)
  return ok(`hello, {task.input.name}`)
end

describe("hello", function()
  it("returns what the machine made", function()
    local run = greet(politely)
    expect(run.state):to_equal("succeeded")
    expect(run.output):to_equal({ greeting = "hello, Ada" })
    expect(#run.delegations):to_equal(1)
  end)

  it("says why the task failed", function()
    local run = greet(fail("worker_failed", "a sore throat"))
    expect(run.state):to_equal("failed")
    expect(run.failure.message):to_equal("nobody could greet Ada: worker_failed: a sore throat")
  end)

  it("waits for a minute and no longer", function()
    local run = greet(hang())
    expect(run.failure.message):to_contain("timeout")
    expect(run.elapsed):to_equal(60)
  end)

  it("says that the worker died", function()
    local run = greet(die("out of breath"))
    expect(run.failure.message):to_contain("worker_failed: out of breath")
  end)

  it("turns down a greeting that is none", function()
    local run = greet(ok(7))
    expect(run.failure.message):to_equal("the greeting is a number")
  end)

  it("ends the same wherever the coordinator crashes", function()
    local whole = greet(politely)
    expect(whole.state):to_equal("succeeded")
    for write = 1, whole.writes do
      expect(greet(politely, write).output):to_equal(whole.output)
    end
  end)
end)
