-- Joins things into one, where any of them may turn out to be bad.
--
-- Whoever joins proofs verifies them first. If some do not hold, the result names them in place of what
-- was asked for; they are made again, by others than made them, and joined by others than refused them: one
-- of the two is wrong, and a script cannot tell which.
--
-- What is joined is a *part*: a table of
--
--   blob    what it is
--   maker   who made it
--   again   a function that makes it anew, elsewhere, and returns the new part

local options = require("lib/options")
local retry = require("lib/retry")

local join = {}

-- How often something is joined: after so many rounds with a bad part there is no trusting anybody.
local MOST_ROUNDS = 3

local STEP = {
  key = "string",
  task = "function",
  parts = "table",
  gives = "string",
  which = "function",
  retry = "table",
  elsewhere = "table",
  on_done = "function",
}

-- Blobs are tables too, which only the host makes, and raise an error where they are asked for anything but
-- their hash and size.
local function plain(value)
  return type(value) == "table" and getmetatable(value) == nil
end

-- Whether `value` is a table with a blob under `name`. A machine may return anything; what does not have the
-- right form is tried elsewhere.
function join.has_blob(name)
  return function(value)
    local found = plain(value) and value[name]
    if getmetatable(found) == "blob" then
      return true
    end
    return false, `the result has no blob {name}`
  end
end

-- Accepts what was asked for, or in its place a list of parts that do not hold.
local function made_or_refused(step)
  local made = join.has_blob(step.gives)
  return function(value)
    local refused = plain(value) and value[step.gives] == nil and value.refused
    if not plain(refused) or #refused == 0 then
      return made(value)
    end
    local seen = {}
    for _, one in ipairs(refused) do
      local part = plain(one) and type(one.why) == "string" and step.which(one)
      if not part or step.parts[part] == nil or seen[part] then
        return false, "it refuses a part that there is not, or one twice, or does not say why"
      end
      seen[part] = true
    end
    return true
  end
end

-- Makes the refused parts again, all at once.
local function mend(ctx, step, refused, refuser)
  local fibers = {}
  for at, one in ipairs(refused) do
    local name = step.which(one)
    local part = step.parts[name]
    ctx:log(`{step.key}: {name}, by {part.maker}, does not hold by the word of {refuser}: {one.why}`)
    fibers[at] = ctx:spawn(function()
      step.parts[name] = part.again()
    end)
  end
  local _ = ctx:all(fibers)
end

-- Joins parts into one, and returns that as a part.
--
-- step.key        the name of the step; its tasks have the keys `key/1/1`, `key/1/2` ..., and those after a
--                 part was made again `key/2/1` ...
-- step.parts      the parts, each under a name
-- step.task       called with the parts, gives the task, of one item, as `ctx:delegate` takes it
-- step.gives      the name of the blob in a result. In its place there may be a list `refused` of tables,
--                 each with a part that does not hold and `why`
-- step.which      called with such a table, gives the name of the part
-- step.retry      the options of `retry.one`
-- step.elsewhere  operators that it does not go to if there are others
-- step.on_done    called when it is done, each time
function join.parts(ctx, step)
  step = table.clone(options.check("join", step, STEP, 2))
  for _, name in { "key", "task", "parts", "gives", "which" } do
    if step[name] == nil then
      error(`join: a step has no {name}`, 2)
    end
  end
  local avoid: { any } = table.clone(step.elsewhere or {})
  for round = 1, MOST_ROUNDS do
    local task = step.task(step.parts)
    task.key, task.elsewhere = `{step.key}/{round}`, avoid
    local maker
    local given = table.clone(step.retry or {})
    given.accept = made_or_refused(step)
    given.on_item = function(_, _, _, operator)
      maker = operator
    end
    local result = retry.one(ctx, task, given)
    if result[step.gives] then
      if step.on_done then
        step.on_done()
      end
      local made = { blob = result[step.gives], maker = maker }
      function made.again()
        local anew = table.clone(step)
        anew.key, anew.elsewhere = `{step.key}/again`, table.clone(avoid)
        table.insert(anew.elsewhere, maker)
        return join.parts(ctx, anew)
      end
      return made
    end
    table.insert(avoid, maker)
    if round < MOST_ROUNDS then
      mend(ctx, step, result.refused, maker)
    end
  end
  ctx:fail(`{step.key}: after {MOST_ROUNDS} rounds some parts still do not hold; the log says whose they were`)
end

-- Joins the parts that a list of fibers return two by two until one is left, which it returns. A pair is
-- joined as soon as both are there, whatever the others are at; neighbours stay neighbours. `pair` is called
-- as pair(first, last, left, right) for the part of all from `first` to `last`.
function join.pairs(ctx, fibers, pair)
  local function over(first, last)
    if first == last then
      return fibers[first]:await()
    end
    local middle = (first + last) // 2
    local left = ctx:spawn(over, first, middle)
    local right = over(middle + 1, last)
    return pair(first, last, left:await(), right)
  end
  return over(1, #fibers)
end

return join
