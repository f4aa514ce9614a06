-- What the pipeline data_commitments promises a seeker.

local SEGMENT = 4096

-- A file of so many segments, the last of them short.
local function file(segments)
  return blob(string.rep("x", SEGMENT * (segments - 1) + 100))
end

local CIRCUITS = { "keccak256", "sha256", "blake3", "poseidon2" }

-- What leaves and nodes of a circuit are of: the first segment and the last, by the proof's hash.
local spans = {}

-- The proof of a leaf or a node.
local function joined(kind, circuit, first, last)
  local proof = blob(`{kind} {circuit} {first}-{last}`)
  spans[proof.hash] = { circuit = circuit, first = first, last = last }
  return proof
end

-- What an honest machine answers: blobs whose contents say what they are of.
local ANSWERS = {
  ["commitments.witness/1"] = function(_, item)
    return { witness = blob(`witness {item.index}`) }
  end,
  ["commitments.prove/1"] = function(task, item)
    expect(item.witness):to_equal(blob(`witness {item.index}`))
    return { proof = blob(`{task.input.circuit} {item.index}`) }
  end,
  ["commitments.bundle/1"] = function()
    return { bundle = blob("bundle") }
  end,
  ["commitments.leaf/1"] = function(task, item)
    local circuit, last = task.input.circuit, item.first + #item.proofs - 1
    for at, proof in ipairs(item.proofs) do
      expect(proof):to_equal(blob(`{circuit} {item.first + at - 1}`))
    end
    return { proof = joined("leaf", circuit, item.first, last) }
  end,
  ["commitments.node/1"] = function(task, item)
    local left, right = spans[item.left.hash], spans[item.right.hash]
    expect(left.circuit):to_equal(task.input.circuit)
    expect(right.circuit):to_equal(task.input.circuit)
    expect(right.first):to_equal(left.last + 1)
    return { proof = joined("node", left.circuit, left.first, right.last) }
  end,
  ["commitments.tip/1"] = function(_, item)
    for _, circuit in CIRCUITS do
      local span = spans[item[circuit].hash]
      expect({ span.circuit, span.first }):to_equal({ circuit, 0 })
      expect(span.last):to_equal(spans[item.keccak256.hash].last)
    end
    return { proof = blob("tip") }
  end,
  ["commitments.schedule/1"] = function(_, item)
    expect(item.proof):to_equal(blob("tip"))
    return { aggregate = blob("aggregate") }
  end,
  ["commitments.compress/1"] = function(_, item)
    expect(item.aggregate):to_equal(blob("aggregate"))
    return { snark = blob("snark") }
  end,
}
local function honest(task, item)
  return ok(ANSWERS[task.kind](task, item))
end

-- The same, but for the first item of this kind.
local function once(kind, reply)
  local said = false
  return function(task, item)
    if task.kind == kind and not said then
      said = true
      return reply(task, item)
    end
    return honest(task, item)
  end
end

-- How many delegations of a kind there were.
local function had(run, kind)
  local count = 0
  for _, delegation in run.delegations do
    count += if delegation.kind == kind then 1 else 0
  end
  return count
end

-- Who had the last delegation of a kind.
local function last_of(run, kind)
  local last
  for _, delegation in run.delegations do
    if delegation.kind == kind then
      last = delegation.operators[#delegation.operators]
    end
  end
  return last
end

-- The same, and what it says of what others made.
local function referee(task, item)
  if task.kind ~= "commitments.check/1" then
    return honest(task, item)
  end
  local proof = item.value.proof
  if item.item.first or item.item.left then
    -- Of a leaf or a node: a proof that somebody made honestly is known here.
    return ok({ ok = proof ~= nil and spans[proof.hash] ~= nil, reason = "it is another one" })
  end
  expect(task.input.data ~= nil):to_equal(true)
  local index, came = item.item.index, item.value.witness or item.value.proof
  local right = if item.value.witness then `witness {index}` else `{task.input.circuit} {index}`
  return ok({ ok = came.hash == blob(right).hash, reason = "it is another one" })
end

-- What every operator holds: the setups of `dev` and `standard`.
local KEYSTORE = {
  "d02fcb273a2dac4aa1f86b20d45c0df0a04008be59ad6a559c56f26f784a9d43",
  "4d813bb1e6ed17c4bd7c5e0b0ad91fe6c5dddda3e54dd8252d28f0f828d8223d",
}

local function submit(options)
  options.pipeline = "data_commitments"
  options.input = options.input or { data = blob("some data") }
  options.operators = options.operators or { alpha = honest, beta = honest }
  for name, operator in options.operators do
    local described = if type(operator) == "function" then { answer = operator } else operator
    described.keys = KEYSTORE
    options.operators[name] = described
  end
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

  it("checks leaves and nodes too, and so finds who made them badly", function()
    for _, kind in { "commitments.leaf/1", "commitments.node/1" } do
      local liar
      local function once_a_liar(task, item)
        if task.kind == kind and not liar then
          liar = task.operator
          return ok({ proof = blob("of other segments") })
        end
        return referee(task, item)
      end
      local run = submit {
        input = { data = file(4), params = "dev", check = true, ["until"] = "aggregate" },
        operators = { alpha = once_a_liar, beta = once_a_liar, gamma = once_a_liar },
      }
      expect(run.failure):to_equal(nil)
      local caught = 0
      for _, delegation in run.delegations do
        if delegation.kind == kind and delegation.items_failed > 0 then
          caught += 1
          expect(delegation.operators[1]):to_equal(liar)
          expect(delegation.err.message):to_contain("its check rejected it")
        end
      end
      expect(caught):to_equal(1)
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

  it("ends in one proof of all, or in one for the chain", function()
    for goal, stages in { aggregate = 0, snark = 1 } do
      local run = submit { input = { data = file(12), params = "dev", ["until"] = goal } }
      expect(run.failure):to_equal(nil)
      expect(run.output):to_equal({ [goal] = blob(goal), params = "dev" })
      -- Leaves of five, two, three and six segments.
      expect(had(run, "commitments.leaf/1")):to_equal(3 + 6 + 4 + 2)
      expect(had(run, "commitments.node/1")):to_equal(2 + 5 + 3 + 1)
      expect(had(run, "commitments.tip/1")):to_equal(1)
      expect(had(run, "commitments.schedule/1")):to_equal(1)
      expect(had(run, "commitments.compress/1")):to_equal(stages)
      expect(had(run, "commitments.bundle/1")):to_equal(0)
    end
  end)

  it("proves the largest file", function()
    local run = submit { input = { data = file(256), params = "dev", ["until"] = "snark" } }
    expect(run.failure):to_equal(nil)
    expect(had(run, "commitments.node/1")):to_equal(52 + 128 + 86 + 43 - 4)
  end)

  it("begins a leaf when its own proofs are there", function()
    local run = submit {
      input = { data = file(20), params = "dev", ["until"] = "aggregate" },
      operators = { alpha = { answer = honest, devices = 4 } },
    }
    local first_leaf, last_proof = math.huge, 0
    for _, delegation in run.delegations do
      if delegation.kind == "commitments.leaf/1" then
        first_leaf = math.min(first_leaf, delegation.assigned)
      elseif delegation.kind == "commitments.prove/1" then
        last_proof = math.max(last_proof, delegation.ended)
      end
    end
    expect(first_leaf < last_proof):to_equal(true)
  end)

  it("asks nobody to compress who lacks the setup", function()
    local run = simulate {
      pipeline = "data_commitments",
      input = { data = file(1), params = "dev", ["until"] = "snark", patience = "1m" },
      operators = {
        poor = honest,
        rich = { answer = honest, keys = { KEYSTORE[1] } },
        other = { answer = honest, keys = { KEYSTORE[2] } },
      },
    }
    expect(run.failure):to_equal(nil)
    expect(had(run, "commitments.compress/1")):to_equal(1)
    expect(last_of(run, "commitments.compress/1")):to_equal("rich")
  end)

  it("makes again what the next stage refuses, elsewhere", function()
    local refusals = {
      ["commitments.bundle/1"] = { made = "commitments.prove/1", says = { circuit = "sha256", index = 1 } },
      ["commitments.leaf/1"] = { made = "commitments.prove/1", says = { index = 0 } },
      ["commitments.node/1"] = { made = "commitments.leaf/1", says = { side = "right" } },
      ["commitments.tip/1"] = { made = "commitments.node/1", says = { circuit = "blake3" } },
      ["commitments.schedule/1"] = { made = "commitments.tip/1", says = {} },
      ["commitments.compress/1"] = { made = "commitments.schedule/1", says = {} },
    }
    for kind, refusal in refusals do
      local goal = if kind == "commitments.bundle/1" then "bundle" else "snark"
      local input = { data = file(4), params = "dev", ["until"] = goal }
      local whole = submit { seed = 1, input = input }
      local refused
      local says = once(kind, function(task)
        refused = task.operator
        refusal.says.why = "it does not hold"
        return ok({ refused = { refusal.says } })
      end)
      local run = submit { seed = 1, input = input, operators = { alpha = says, beta = says } }
      expect(run.failure):to_equal(nil)
      expect(run.output):to_equal(whole.output)
      -- What was refused is made once more, and so is what refused it.
      expect(#run.delegations):to_equal(#whole.delegations + 2)
      expect(had(run, refusal.made)):to_equal(had(whole, refusal.made) + 1)
      if kind ~= "commitments.leaf/1" and kind ~= "commitments.node/1" then
        expect(last_of(run, kind)):to_not_equal(refused)
      end
      expect(table.concat(run.log, "\n")):to_contain("it does not hold")
    end
  end)

  it("takes nothing that makes no sense", function()
    for _, nonsense in
      {
        { refused = { { side = "middle", why = "it does not hold" } } },
        { refused = { { side = "left" } } },
        { refused = { { why = "it does not hold" } } },
        { refused = { { side = "left", why = "a" }, { side = "left", why = "b" } } },
        { refused = { 1 } },
        { refused = { blob("x") } },
        { refused = blob("x") },
        { refused = {} },
        { proof = 1 },
        1,
        blob("x"),
      } :: { any }
    do
      local asked = 0
      local lie = once("commitments.node/1", function()
        asked += 1
        return ok(nonsense)
      end)
      local run = submit {
        input = { data = file(4), params = "dev", ["until"] = "aggregate" },
        operators = { alpha = lie, beta = lie },
      }
      expect(run.failure):to_equal(nil)
      expect(asked):to_equal(1)
      -- Two nodes, and one of them once more.
      expect(had(run, "commitments.node/1")):to_equal(3)
    end
  end)

  it("takes no blob for an answer", function()
    for kind in ANSWERS do
      local goal = if kind == "commitments.bundle/1" then "bundle" else "snark"
      local lie = once(kind, function()
        return ok(blob("x"))
      end)
      local run = submit {
        input = { data = file(4), params = "dev", ["until"] = goal },
        operators = { alpha = lie, beta = lie },
      }
      expect(run.failure):to_equal(nil)
    end
  end)

  it("gives up where parts are refused round after round", function()
    local run = submit {
      input = { data = file(1), params = "dev", ["until"] = "aggregate" },
      operators = {
        alpha = function(task, item)
          if task.kind == "commitments.tip/1" then
            return ok({ refused = { { circuit = "sha256", why = "no" } } })
          end
          return honest(task, item)
        end,
      },
    }
    expect(run.failure.code):to_equal("FRB-LUA-011")
    expect(run.failure.message):to_contain("tip: after 3 rounds")
  end)

  it("loses a machine in each stage and ends all the same", function()
    for kind in ANSWERS do
      local goal = if kind == "commitments.bundle/1" then "bundle" else "snark"
      local lose = once(kind, function()
        return disconnect()
      end)
      local run = submit {
        input = { data = file(3), params = "dev", ["until"] = goal },
        operators = { alpha = { answer = lose, machines = 2 }, beta = { answer = lose, machines = 2 } },
      }
      expect(run.failure):to_equal(nil)
      expect(run.output[goal]):to_equal(blob(goal))
    end
  end)

  it("ends in the same proof wherever the coordinator crashes", function()
    local input = { data = file(3), params = "dev", ["until"] = "snark" }
    local whole = submit { seed = 1, input = input }
    expect(whole.failure):to_equal(nil)
    for write = 1, whole.writes, 3 do
      local run = submit { seed = 1, input = input, crash_at = write }
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
