-- What the pipeline era-like promises: one small proof in the end, with every circuit in it once.

local CIRCUITS = 10

-- An honest machine. A proof's contents say what is in it, so that a test can follow them; a blob's own
-- name is its hash, so they are kept here.
local function network()
  local contents = {}

  local function proof(parts)
    table.sort(parts)
    local text = table.concat(parts, " ")
    local made = blob(text)
    contents[made.hash] = text
    return ok({ proof = made })
  end

  local function honest(task, item)
    if task.kind == "example.witness/1" then
      return ok({ witness = blob("witness"), circuits = CIRCUITS })
    elseif task.kind == "example.circuit/1" then
      return proof({ string.format("%02d", item.index) })
    elseif task.kind == "example.aggregate/1" then
      local parts = {}
      for _, one in task.input.proofs do
        for _, part in string.split(contents[one.hash], " ") do
          table.insert(parts, part)
        end
      end
      return proof(parts)
    end
    return proof({ `small: {contents[task.input.proof.hash]}` })
  end

  return honest
end

local WHOLE = { proof = blob("small: 00 01 02 03 04 05 06 07 08 09") }

-- `answer`, which is given an honest one to fall back on, has everything first.
local function submit(answer, crash_at)
  local honest = network()
  local first = function(task, item, n)
    return if answer then answer(honest, task, item, n) else honest(task, item)
  end
  return simulate {
    pipeline = "era-like",
    input = { batch = blob("batch") },
    -- The last step wants more memory than devices have if nothing is said.
    operators = {
      alpha = { answer = first, vram = "24GiB" },
      beta = { answer = honest, vram = "24GiB", joins = "500ms" },
    },
    crash_at = crash_at,
  }
end

describe("era-like", function()
  it("ends in one small proof of every circuit", function()
    local run = submit()
    expect(run.state):to_equal("succeeded")
    expect(run.output):to_equal(WHOLE)
    expect(run.status[#run.status].phase):to_equal("compress")
  end)

  it("mends what fails at any step", function()
    for _, kind in { "example.witness/1", "example.circuit/1", "example.aggregate/1", "example.compress/1" } do
      local run = submit(function(honest, task, item)
        return if task.kind == kind then fail("out_of_memory") else honest(task, item)
      end)
      expect(run.output):to_equal(WHOLE)
    end
  end)

  it("mends what takes too long", function()
    local run = submit(function(honest, task, item)
      return if task.kind == "example.circuit/1" then hang() else honest(task, item)
    end)
    expect(run.output):to_equal(WHOLE)
    expect(run.elapsed):to_be_at_least(20 * 60)
  end)

  it("keeps what came before a worker died half way", function()
    local deaths = 0
    local run = submit(function(honest, task, item, n)
      if task.kind == "example.circuit/1" and n == 2 then
        deaths += 1
        return die("the driver is gone")
      end
      return honest(task, item)
    end)
    expect(run.output):to_equal(WHOLE)
    expect(deaths):to_be_at_least(1)
    for _, delegation in run.delegations do
      if delegation.err then
        expect(delegation.items_ok):to_equal(1)
      end
    end
  end)

  it("turns down a result without a proof in it", function()
    local run = submit(function(honest, task, item)
      return if task.kind == "example.witness/1" then honest(task, item) else ok({ proof = "trust me" })
    end)
    expect(run.output):to_equal(WHOLE)
  end)

  it("refuses a batch without circuits", function()
    local run = submit(function(_, task)
      return ok({ witness = blob("witness"), circuits = 0 })
    end)
    expect(run.failure.message):to_equal("the batch has no circuits")
  end)

  it("ends the same wherever the coordinator crashes", function()
    local whole = submit()
    expect(whole.state):to_equal("succeeded")
    for write = 1, whole.writes do
      expect(submit(nil, write).output):to_equal(WHOLE)
    end
  end)
end)
