-- What lib/era promises: the right steps, in the right order, whole.

local era = require("lib/era")

-- Puts so many proofs of one type together, each step a delegation of its own.
local aggregate = workflow("aggregate", { input = { count = "integer" } }, function(ctx, input)
  local retry = require("lib/retry")
  local proofs = {}
  for index = 1, input.count do
    proofs[index] = index
  end
  return era.aggregate(ctx, 1, proofs, function(step, taken)
    return retry.one(ctx, { kind = "spec.sum/1", key = step.key, input = { proofs = taken }, timeout = "1m" })
  end)
end)

-- A machine whose proof of several is their sum: each has to be in it once.
local function sum(task)
  local total = 0
  for _, proof in task.input.proofs do
    total += proof
  end
  return ok(total)
end

describe("era.key", function()
  it("names each step once", function()
    expect(era.key("basic", 1, nil, 0)):to_equal("basic/main_vm/0")
    expect(era.key("node", 13, 2, 5)):to_equal("node/l1_messages_hasher/2/5")
    expect(era.key("tip")):to_equal("tip")
    expect(function()
      era.key("root")
    end):to_raise("there is no round root")
  end)
end)

describe("era.circuit", function()
  it("names every type, known or not", function()
    expect(era.circuit(1)):to_equal("main_vm")
    expect(era.circuit(#era.CIRCUITS + 1)):to_equal("circuit_14")
    for _, bad in { 0, 1.5, -1, "main_vm" } do
      expect(function()
        era.circuit(bad)
      end):to_raise("a whole number from 1 was expected")
    end
  end)

  it("is undone by era.circuit_number", function()
    for number, name in ipairs(era.CIRCUITS) do
      expect(era.circuit(number)):to_equal(name)
      expect(era.circuit_number(name)):to_equal(number)
    end
    expect(function()
      era.circuit_number("main_vn")
    end):to_raise("there is no circuit main_vn")
  end)
end)

describe("era.leaf_circuit", function()
  it("comes after the scheduler and the node", function()
    expect(era.leaf_circuit(1)):to_equal(3)
    expect(era.leaf_circuit(13)):to_equal(15)
  end)
end)

describe("era.totals", function()
  it("counts the steps of every round", function()
    expect(era.totals { [1] = 70, [2] = 1 }):to_equal { basic = 71, leaf = 4, node = 2, tip = 1, scheduler = 1 }
    -- 1025 proofs: 33 leaves, then two nodes, then one.
    expect(era.totals { [7] = 1025 }):to_equal { basic = 1025, leaf = 33, node = 3, tip = 1, scheduler = 1 }
    expect(era.totals {}):to_equal { basic = 0, leaf = 0, node = 0, tip = 1, scheduler = 1 }
  end)
end)

describe("era.ordinary", function()
  it("shares any number of circuits out, and each known type has one", function()
    expect(era.ordinary(500)):to_equal {
      [1] = 441,
      [2] = 1,
      [4] = 1,
      [8] = 15,
      [9] = 1,
      [10] = 39,
      [11] = 1,
      [12] = 1,
    }
    for _, total in { 8, 9, 33, 4096 } do
      local sum = 0
      for _, count in pairs(era.ordinary(total)) do
        expect(count >= 1):to_equal(true)
        sum += count
      end
      expect(sum):to_equal(total)
    end
    expect(function()
      era.ordinary(7)
    end):to_raise("a whole number from 8 was expected")
  end)
end)

describe("era.slowest_first", function()
  it("orders the types that there are by how long they take", function()
    expect(era.slowest_first { [1] = 3, [4] = 1, [8] = 2, [3] = 1, [10] = 0 }):to_equal { 8, 4, 1, 3 }
    expect(era.slowest_first {}):to_equal {}
  end)
end)

describe("era.jobs", function()
  it("numbers the circuits of a type from 0", function()
    expect(era.jobs(9, 2)):to_equal { { circuit = 9, sequence = 0 }, { circuit = 9, sequence = 1 } }
    expect(era.jobs(9, 0)):to_equal {}
  end)
end)

describe("era.pieces", function()
  it("cuts each type for itself, in order", function()
    local proofs = {}
    for sequence = 0, 4 do
      table.insert(proofs, { circuit = 2, sequence = sequence })
    end
    table.insert(proofs, { circuit = 1, sequence = 0 })
    local pieces = era.pieces(proofs, 2)
    local keys, whole = {}, 0
    for _, piece in pieces do
      table.insert(keys, piece.key)
      whole += #piece.items
      expect(#piece.items):to_equal(piece.last - piece.first + 1)
      for _, item in piece.items do
        expect(item.circuit):to_equal(piece.circuit)
      end
    end
    expect(whole):to_equal(#proofs)
    expect(keys):to_equal {
      "basic/main_vm/0-0",
      "basic/code_decommittments_sorter/0-1",
      "basic/code_decommittments_sorter/2-3",
      "basic/code_decommittments_sorter/4-4",
    }
  end)
end)

describe("era.levels", function()
  it("ends in one node, whatever there is to put together", function()
    for _, count in { 1, 2, 32, 33, 1024, 1025, 40000 } do
      local levels = era.levels(1, count)
      local last = levels[#levels]
      expect(#last):to_equal(1)
      expect(last[1].round):to_equal("node")
      local below = count
      for _, level in levels do
        expect(level[1].first):to_equal(1)
        expect(level[#level].last):to_equal(below)
        below = #level
      end
    end
  end)

  it("refuses nothing", function()
    expect(function()
      era.levels(1, 0)
    end):to_raise("at least one was expected")
  end)
end)

describe("era.group", function()
  it("sorts what came in any order", function()
    local groups = era.group {
      { circuit = 2, sequence = 0 },
      { circuit = 1, sequence = 1 },
      { circuit = 1, sequence = 0 },
    }
    expect(groups):to_equal {
      { circuit = 1, proofs = { { circuit = 1, sequence = 0 }, { circuit = 1, sequence = 1 } } },
      { circuit = 2, proofs = { { circuit = 2, sequence = 0 } } },
    }
  end)

  it("notices what is missing", function()
    expect(function()
      era.group { { circuit = 1, sequence = 0 }, { circuit = 1, sequence = 2 } }
    end):to_raise("proof 1 of main_vm is missing")
  end)
end)

describe("era.aggregate", function()
  it("puts every proof in once", function()
    local run = simulate {
      workflow = aggregate,
      input = { count = 70 },
      operators = { alpha = { answer = sum, machines = 2 } },
    }
    expect(run.output):to_equal(70 * 71 / 2)
    -- Three leaves and a node.
    expect(#run.delegations):to_equal(4)
  end)

  it("does so with machines that come and go, and a coordinator that crashes", function()
    local asked = 0
    local function shaky(task)
      asked += 1
      return if asked % 3 == 0 then disconnect("5s") else sum(task)
    end
    for write = 5, 40, 5 do
      local run = simulate {
        workflow = aggregate,
        input = { count = 70 },
        operators = { alpha = { answer = shaky, machines = 2 }, beta = sum },
        crash_at = write,
      }
      expect(run.output):to_equal(70 * 71 / 2)
    end
  end)
end)
