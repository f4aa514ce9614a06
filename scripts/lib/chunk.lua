-- Cuts a list of items into pieces, one delegation each.
--
-- Small pieces spread over many machines and lose little when one of them fails; large ones spend less
-- on handing out. Results stream back item by item either way.

local chunk = {}

-- How many pieces a job should have at least, so that several machines find work in it.
local PIECES = 8

-- How many of `count` items to put into one piece: at most `widest`, and at least two where there are
-- two, since a task's own start-up is worth sharing.
function chunk.width(count, widest)
  return math.clamp(math.ceil(count / PIECES), math.min(2, widest), widest)
end

-- Cuts `items` into pieces of at most `width`: a list of { first, last, items }, where `first` and `last`
-- are the positions in `items`.
function chunk.cut(items, width)
  assert(width >= 1, "chunk.cut: a piece holds at least one item")
  local pieces = {}
  for first = 1, #items, width do
    local last = math.min(first + width - 1, #items)
    table.insert(pieces, { first = first, last = last, items = table.move(items, first, last, 1, {}) })
  end
  return pieces
end

return chunk
