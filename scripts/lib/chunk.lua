-- Cuts a list of items into pieces, one delegation each.
--
-- Small pieces spread over many machines and lose little when one of them fails; large ones spend less
-- on handing out. Results stream back item by item either way.

local chunk = {}

-- How many pieces a job should have at least, so that several machines find work in it.
local PIECES = 8

local function check(what, number)
  if type(number) ~= "number" or number < 1 or number ~= math.floor(number) then
    error(`chunk: {what} is a whole number, 1 or more: a piece holds at least one item`, 3)
  end
end

local function check_items(items)
  if type(items) ~= "table" then
    error(`chunk: a list of items was expected, got {type(items)}`, 3)
  end
end

-- How many of `count` items to put into one piece: at most `widest`, and at least two where there are
-- two, since a task's own start-up is worth sharing.
function chunk.width(count, widest)
  check("the largest width", widest)
  check("one more than the number of items", count + 1)
  return math.clamp(math.ceil(count / PIECES), math.min(2, widest), widest)
end

-- The same for operators that do `abreast` items at a time: a multiple of that, since a piece that is a
-- little larger takes as long as one with a whole round more. At most `widest`, but one round at least.
function chunk.rounds(count, abreast, widest)
  check("the operators' width", abreast)
  check("the largest width", widest)
  local rounds = math.floor(count / (PIECES * abreast))
  return abreast * math.clamp(rounds, 1, math.max(1, math.floor(widest / abreast)))
end

-- Cuts `items` into pieces of at most `width`: a list of { first, last, items }, where `first` and `last`
-- are the positions in `items`. All are full but the last.
function chunk.cut(items, width)
  check("the width", width)
  check_items(items)
  local pieces = {}
  for first = 1, #items, width do
    local last = math.min(first + width - 1, #items)
    table.insert(pieces, { first = first, last = last, items = table.move(items, first, last, 1, {}) })
  end
  return pieces
end

-- The same, but as equal as can be: as many pieces as `cut` makes, and none with more than one item less
-- than another. For machines that do one item after the other, which would wait for a short last piece.
function chunk.even(items, width)
  check("the width", width)
  check_items(items)
  local count = math.ceil(#items / width)
  local pieces, last = {}, 0
  for piece = 1, count do
    local first = last + 1
    last = math.floor(#items * piece / count)
    pieces[piece] = { first = first, last = last, items = table.move(items, first, last, 1, {}) }
  end
  return pieces
end

return chunk
