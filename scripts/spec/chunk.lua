-- What lib/chunk promises.

local chunk = require("lib/chunk")

describe("chunk.width", function()
  it("grows with the job, up to the widest piece", function()
    local widths = {}
    for _, count in { 1, 2, 4, 16, 24, 64, 256 } do
      table.insert(widths, chunk.width(count, 16))
    end
    expect(widths):to_equal({ 2, 2, 2, 2, 3, 8, 16 })
  end)

  it("never goes past what one machine should have", function()
    expect(chunk.width(1000, 1)):to_equal(1)
  end)
end)

describe("chunk.cut", function()
  it("cuts without holes or overlaps", function()
    local items = { "a", "b", "c", "d", "e" }
    for width = 1, 6 do
      local at = 0
      local pieces = chunk.cut(items, width)
      expect(#pieces):to_equal(math.ceil(#items / width))
      for _, piece in pieces do
        expect(piece.first):to_equal(at + 1)
        expect(#piece.items):to_equal(piece.last - at)
        expect(piece.items[1]):to_equal(items[piece.first])
        at = piece.last
      end
      expect(at):to_equal(#items)
    end
  end)

  it("makes nothing of nothing", function()
    expect(chunk.cut({}, 3)):to_equal({})
  end)

  it("refuses a piece without items", function()
    expect(function()
      chunk.cut({ 1 }, 0)
    end):to_raise("at least one item")
  end)
end)

describe("chunk.rounds", function()
  it("is a multiple of what operators do abreast, and one round at least", function()
    for _, count in { 1, 10, 100, 1000 } do
      local width = chunk.rounds(count, 4, 64)
      expect(width % 4):to_equal(0)
      expect(width):to_be_at_least(4):to_be_at_most(64)
    end
  end)
end)

describe("chunk.even", function()
  it("makes as many pieces as cut, none of them more than one item shorter than another", function()
    local items = table.create(10, "x")
    for width = 1, 11 do
      local pieces = chunk.even(items, width)
      expect(#pieces):to_equal(#chunk.cut(items, width))
      local shortest, longest, whole = math.huge, 0, 0
      for _, piece in pieces do
        shortest = math.min(shortest, #piece.items)
        longest = math.max(longest, #piece.items)
        whole += #piece.items
      end
      expect(longest - shortest):to_be_at_most(1)
      expect(whole):to_equal(10)
    end
  end)
end)
