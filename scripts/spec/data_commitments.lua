-- What the pipeline data_commitments promises a seeker.

local SEGMENT = 4096

-- A file of so many segments, the last of them short.
local function file(segments)
  return blob(string.rep("x", SEGMENT * (segments - 1) + 100))
end

-- What an honest machine answers: blobs whose contents say what they are of.
local function honest(task, item)
  if task.kind == "commitments.witness/1" then
    return ok({ witness = blob(`witness {item.index}`) })
  elseif task.kind == "commitments.prove/1" then
    expect(item.witness):to_equal(blob(`witness {item.index}`))
    return ok({ proof = blob(`{task.input.circuit} {item.index}`) })
  end
  return ok({ bundle = blob("bundle") })
end

-- The same, and what it says of what others made.
local function referee(task, item)
  if task.kind ~= "commitments.check/1" then
    return honest(task, item)
  end
  expect(task.input.data):to_equal(blob("some data"))
  local index, came = item.item.index, item.value.witness or item.value.proof
  local right = if item.value.witness then `witness {index}` else `{task.input.circuit} {index}`
  return ok({ ok = came.hash == blob(right).hash, reason = "it is another one" })
end

local function submit(options)
  options.pipeline = "data_commitments"
  options.input = options.input or { data = blob("some data") }
  options.operators = options.operators or { alpha = honest, beta = honest }
  return simulate(options)
end

describe("data_commitments", function()
  it("ends in a bundle", function()
    local run = submit {}
    expect(run.state):to_equal("succeeded")
    expect(run.output):to_equal({ bundle = blob("bundle"), params = "standard" })
    -- A witness, a proof for each of four circuits, a bundle.
    expect(#run.delegations):to_equal(6)
    expect(run.status[#run.status]):to_equal({ phase = "bundle", done = 1, total = 1 })
  end)

  it("cuts a file into pieces that spread over the machines", function()
    local run = submit { input = { data = file(20), params = "dev" } }
    expect(run.state):to_equal("succeeded")
    expect(run.output.params):to_equal("dev")
    local proofs, busy = 0, {}
    for _, delegation in run.delegations do
      if delegation.kind == "commitments.prove/1" then
        proofs += delegation.items_ok
        busy[delegation.operators[1]] = true
      end
    end
    expect(proofs):to_equal(4 * 20)
    expect(busy):to_equal({ alpha = true, beta = true })
  end)

  it("tries a proof that is none on another machine", function()
    local lies = 0
    local run = submit {
      operators = {
        alpha = honest,
        beta = honest,
        liar = function(task, item)
          if task.kind == "commitments.prove/1" then
            lies += 1
            return ok({ proof = "trust me" })
          end
          return honest(task, item)
        end,
      },
    }
    expect(run.state):to_equal("succeeded")
    expect(#run.delegations):to_equal(6 + lies)
  end)

  it("counts nothing that a check has not approved, if asked to", function()
    local lies = 0
    local run = submit {
      input = { data = blob("some data"), check = true },
      operators = {
        alpha = referee,
        beta = referee,
        liar = function(task, item)
          if task.kind == "commitments.prove/1" then
            lies += 1
            return ok({ proof = blob("trust me") })
          end
          return referee(task, item)
        end,
      },
    }
    expect(run.state):to_equal("succeeded")
    expect(lies > 0):to_equal(true)
    expect(#run.delegations):to_equal(6 + lies)
    for _, delegation in run.delegations do
      if delegation.kind == "commitments.prove/1" and delegation.operators[1] == "liar" then
        expect(delegation.items_ok):to_equal(0)
        expect(delegation.err.message):to_contain("its check rejected it: it is another one")
      end
    end
  end)

  it("survives a network that loses machines", function()
    local calls = 0
    local run = submit {
      operators = {
        alpha = honest,
        beta = honest,
        shaky = {
          machines = 2,
          answer = function(task, item)
            calls += 1
            return if calls % 2 == 0 then disconnect("20s") else honest(task, item)
          end,
        },
      },
    }
    expect(run.state):to_equal("succeeded")
  end)

  it("ends the same wherever the coordinator crashes", function()
    local whole = submit { seed = 1 }
    for write = 1, whole.writes do
      local run = submit { seed = 1, crash_at = write }
      expect(run.output):to_equal(whole.output)
      expect(#run.delegations):to_equal(#whole.delegations)
    end
  end)

  it("refuses what it cannot prove, in words", function()
    local run = submit { input = { data = blob("") } }
    expect(run.failure):to_equal({ code = "FRB-LUA-011", message = "the file is empty: there is nothing to prove" })
    local wrong = submit { input = {} }
    expect(wrong.state):to_equal("refused")
    expect(wrong.failure.code):to_equal("FRB-SUB-002")
    local odd = submit { input = { data = blob("x"), params = "fast" } }
    expect(odd.failure.message):to_contain("dev")
  end)

  it("fails with the trail when nobody manages a proof", function()
    local run = submit {
      operators = {
        alpha = function(task, item)
          return if task.kind == "commitments.prove/1" then fail("out_of_memory") else honest(task, item)
        end,
      },
    }
    expect(run.state):to_equal("failed")
    expect(run.failure.message):to_contain("out_of_memory at alpha")
  end)
end)
