-- What lib/options promises: an author hears of a mistyped option where it was written.

local options = require("lib/options")

local TYPES = { attempts = "number", backoff = "number", accept = "function" }

-- A function of a library, as an author calls it.
local function try(given)
  return options.check("try", given, TYPES, 2)
end

describe("options.hint", function()
  it("offers what was probably meant", function()
    local known = { "accept", "attempts", "backoff" }
    for typed, meant in { attempt = "attempts", atempts = "attempts", bakcoff = "backoff", acept = "accept" } do
      expect(options.hint(typed, known)):to_equal(`did you mean {meant}?`)
    end
  end)

  it("takes the nearest, and the first of those that are as near", function()
    expect(options.hint("retrie", { "retry", "retries" })):to_equal("did you mean retries?")
    expect(options.hint("widt", { "width", "wide" })):to_equal("did you mean width?")
    expect(options.hint("widt", { "wide", "width" })):to_equal("did you mean wide?")
  end)

  it("lists what there is if nothing is near", function()
    expect(options.hint("colour", { "accept", "attempts" })):to_equal("there is accept, attempts")
    expect(options.hint(string.rep("attempts", 100), { "attempts" })):to_equal("there is attempts")
  end)
end)

describe("options.check", function()
  it("gives what it was given, or nothing set", function()
    local given = { attempts = 3 }
    expect(try(given)):to_equal(given)
    expect(try(nil)):to_equal({})
  end)

  it("refuses what there is not, with what was meant", function()
    expect(function()
      try({ atempts = 3 })
    end):to_raise("try: unknown option atempts; did you mean attempts?")
    expect(function()
      try({ 3 })
    end):to_raise("try: unknown option 1; there is accept, attempts, backoff")
  end)

  it("refuses what has the wrong type", function()
    expect(function()
      try({ attempts = "3" })
    end):to_raise("try: attempts is a number, got string")
    expect(function()
      try("fast")
    end):to_raise("try: a table of options was expected, got string")
  end)

  it("raises where the author wrote it", function()
    local _, here = pcall(function()
      error("here")
    end)
    local _, raised = pcall(function()
      try({ nothing = true })
    end)
    local function line(message)
      return assert(tonumber(string.match(tostring(message), "^spec/options.lua:(%d+): ")), message)
    end
    expect(line(raised)):to_equal(line(here) + 3)
  end)
end)
