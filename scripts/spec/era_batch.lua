-- What the pipeline era_batch promises a seeker.

-- 70 circuits of one type need three leaves; the other types one each.
local CIRCUITS = { { circuit = 1, count = 70 }, { circuit = 10, count = 5 }, { circuit = 8, count = 1 } }
local BASIC, LEAVES, NODES = 76, 5, 3

-- What an honest machine answers: blobs whose contents say what they are of, so that a proof is right only
-- if what it was made of came in the right order.
local function honest(task, item)
  if task.kind == "era.witness/1" then
    return ok { witness = blob("witness"), circuits = CIRCUITS }
  elseif task.kind == "era.basic/1" then
    expect(task.input.witness):to_equal(blob("witness"))
    return ok { proof = blob(`basic {item.circuit} {item.sequence}`) }
  elseif task.kind == "era.leaf/1" then
    local first = assert(tonumber(string.match(task.key, "/(%d+)/%d+$"))) * 32
    for at, proof in item.proofs do
      expect(proof):to_equal(blob(`basic {item.circuit - 2} {first + at - 1}`))
    end
    return ok { proof = blob(`leaf {item.circuit - 2} {first // 32}`) }
  elseif task.kind == "era.node/1" then
    for at, proof in item.proofs do
      expect(proof):to_equal(blob(`leaf {item.circuit} {at - 1}`))
    end
    return ok { proof = blob(`node {item.circuit}`) }
  elseif task.kind == "era.tip/1" then
    expect(item.proofs):to_equal { blob("node 1"), blob("node 8"), blob("node 10") }
    return ok { proof = blob("tip") }
  elseif task.kind == "era.scheduler/1" then
    expect(item.proofs):to_equal { blob("tip") }
    return ok { proof = blob("scheduler") }
  end
  expect(item.proofs):to_equal { blob("scheduler") }
  return ok { proof = blob("final") }
end

-- Machines that are large enough for every step.
local function large(answer, machines)
  return { answer = answer, machines = machines or 1, cpu_cores = 16, ram = "64GiB", vram = "24GiB" }
end

local function submit(options)
  options.pipeline = "era_batch"
  options.input = options.input or { batch = blob("a batch") }
  options.operators = options.operators or { alpha = large(honest, 3) }
  return simulate(options)
end

local function of_kind(run, kind)
  local found = {}
  for _, delegation in run.delegations do
    if delegation.kind == kind then
      table.insert(found, delegation)
    end
  end
  return found
end

describe("era_batch", function()
  it("makes one proof of a batch, each step once and in order", function()
    local run = submit {}
    expect(run.state):to_equal("succeeded")
    expect(run.output):to_equal { proof = blob("final"), circuits = BASIC }
    expect(#of_kind(run, "era.leaf/1")):to_equal(LEAVES)
    expect(#of_kind(run, "era.node/1")):to_equal(NODES)
    local basic = 0
    for _, delegation in of_kind(run, "era.basic/1") do
      expect(delegation.items <= 16):to_equal(true)
      basic += delegation.items_ok
    end
    expect(basic):to_equal(BASIC)
  end)

  it("begins with what takes longest", function()
    local run = submit {}
    expect(of_kind(run, "era.basic/1")[1].key):to_contain("ram_permutation")
  end)

  it("cuts as it is told", function()
    local run = submit { input = { batch = blob("x"), piece = 32 } }
    -- 32, 32 and 6 of one type, and one piece of each other.
    expect(#of_kind(run, "era.basic/1")):to_equal(5)
    local none = submit { input = { batch = blob("x"), piece = 0 } }
    expect(none.failure.message):to_contain("1 to 1024")
  end)

  it("puts a leaf together while other pieces are proved", function()
    local hung = false
    local function one_hangs(task, item)
      if task.kind == "era.basic/1" and item.circuit == 8 and not hung then
        hung = true
        return hang()
      end
      return honest(task, item)
    end
    -- Of one operator, since another one would be given the piece that hangs too.
    local run = submit { operators = { alpha = large(one_hangs, 4) } }
    expect(run.state):to_equal("succeeded")
    local slow, leaf = nil, nil
    for _, delegation in of_kind(run, "era.basic/1") do
      if delegation.state == "timed_out" then
        slow = delegation
      end
    end
    for _, delegation in of_kind(run, "era.leaf/1") do
      if string.find(delegation.key, "main_vm/0", 1, true) then
        leaf = delegation
      end
    end
    expect(leaf.ended < slow.ended):to_equal(true)
  end)

  it("has what is no proof, and no witness, made by another machine", function()
    for _, kind in { "era.witness/1", "era.basic/1", "era.node/1", "era.final/1" } do
      local run = submit {
        operators = {
          alpha = large(honest, 2),
          liar = large(function(task, item)
            local lie = { proof = "trust me", circuits = { { circuit = 1, count = 0 } } }
            return if task.kind == kind then ok(lie) else honest(task, item)
          end, 4),
        },
      }
      expect(run.output):to_equal { proof = blob("final"), circuits = BASIC }
    end
  end)

  it("ends the same wherever the coordinator crashes, with machines that come and go", function()
    local asked = 0
    local function shaky(task, item)
      asked += 1
      return if asked % 7 == 0 then disconnect("5s") else honest(task, item)
    end
    for write = 20, 400, 20 do
      local run = submit {
        operators = { alpha = large(shaky, 2), beta = large(honest, 2) },
        crash_at = write,
      }
      expect(run.output):to_equal { proof = blob("final"), circuits = BASIC }
    end
  end)

  it("fails with the trail when nobody manages a step", function()
    local run = submit {
      operators = {
        alpha = large(function(task, item)
          return if task.kind == "era.final/1" then fail("out_of_memory") else honest(task, item)
        end),
      },
    }
    expect(run.state):to_equal("failed")
    expect(run.failure.message):to_contain("out_of_memory at alpha")
  end)
end)

describe("era_circuits", function()
  it("proves every circuit of an ordinary batch once", function()
    local function prove(task, item)
      expect(item.circuit >= 1):to_equal(true)
      return ok { proof = blob(`{item.circuit} {item.sequence}`) }
    end
    for piece, pieces in { [16] = 37, [32] = 22 } do
      local run = simulate {
        pipeline = "era_circuits",
        input = { piece = piece },
        operators = { alpha = large(prove, 4) },
      }
      expect(run.output):to_equal { proofs = 500, pieces = pieces }
    end
    local run = simulate { pipeline = "era_circuits", input = { jobs = 3 }, operators = { alpha = prove } }
    expect(run.failure.message):to_contain("10 to 100000")
  end)
end)
