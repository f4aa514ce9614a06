-- Hands out tasks and tries again what fails.
--
-- The platform tells what happened to each item and who had it; what to do about it is decided here, in
-- plain Lua on the public verbs, so that an author can read it, copy it and change it. The policy:
--
--   * Only the items that failed are tried again; what has arrived stays.
--   * At once, as a task of its own with a fresh key, and on another operator: all that failed it so
--     far are avoided.
--   * If nobody else can take it (`no_capacity` while some are avoided), anybody may have it again after
--     a short pause. That does not count as an attempt, because nobody tried.
--   * After `attempts` tries, or at the first error that no other machine can mend, an error is raised
--     that tells the whole trail.

local chunk = require("lib/chunk")

local retry = {}

-- How long a retry waits for an operator other than those that failed it.
local ELSEWHERE = "10s"
-- The pause before a task goes back to operators that failed it doubles from the first to the last.
local FIRST_PAUSE, LAST_PAUSE = 0.5, 8

local OPTIONS = { attempts = "number", accept = "function", on_item = "function" }

local function check(options)
  options = options or {}
  for name, value in pairs(options) do
    if OPTIONS[name] == nil then
      error(`retry: unknown option {name}; there is accept, attempts, on_item`, 3)
    end
    if type(value) ~= OPTIONS[name] then
      error(`retry: {name} is a {OPTIONS[name]}, got {type(value)}`, 3)
    end
  end
  return options
end

-- What became of one try, for the trail.
local function describe(try, err)
  local where = if err.operator then ` at {err.operator}` else ""
  return `try {try}: {err.class}{where}: {err.message}`
end

-- Carries out every task of the list `tasks`, all at once, and returns their values: `values[t][i]` is
-- that of item `i` of task `t`. A task is what `ctx:delegate` takes, with a `key`; try `n` of it has the
-- key `key/n`. With `elsewhere`, a list of operators, it goes to others if there are any, as if these had
-- failed it already.
--
-- options.attempts   how often an item is tried; 5 if left out
-- options.accept     called with each value; a result for which it does not return true counts as
--                    `invalid_result`, and its second result says why
-- options.on_item    called as on_item(t, i, value, operator) when an item is done
function retry.each(ctx, tasks, options)
  options = check(options)
  local attempts = options.attempts or 5
  local values = {}
  -- The delegations that the loop below follows. A retry is appended, and so joins the stream.
  local running = {}
  local jobs = {}

  -- A job is one delegation: some items of one task, and how they fared before.
  local function launch(job)
    local task = tasks[job.task]
    local spec = table.clone(task)
    job.try += 1
    job.missing = #job.items
    job.failed = {}
    spec.key = `{task.key}/{job.try}`
    spec.elsewhere = nil
    if task.items then
      spec.items = {}
      for at, position in ipairs(job.items) do
        spec.items[at] = task.items[position]
      end
    end
    if #job.avoid > 0 then
      spec.avoid = table.clone(task.avoid or {})
      table.move(job.avoid, 1, #job.avoid, #spec.avoid + 1, spec.avoid)
      spec.queue_timeout = ELSEWHERE
    end
    local delegation = ctx:delegate(spec)
    jobs[delegation.id] = job
    table.insert(running, delegation)
  end

  local function give_up(job, why)
    local key = tasks[job.task].key
    error(`{key}: {#job.failed} of its items failed, {why}: {table.concat(job.trail, "; ")}`, 0)
  end

  -- A delegation is over and some of its items have no value.
  local function try_again(job)
    local err = job.failed[1].err
    local items, nobody, mendable = {}, true, true
    for at, failed in ipairs(job.failed) do
      items[at] = failed.position
      nobody = nobody and failed.err.class == "no_capacity"
      if not failed.err.retryable then
        mendable, err = false, failed.err
      end
      local operator = failed.err.operator
      if operator and not table.find(job.avoid, operator) then
        table.insert(job.avoid, operator)
      end
    end
    table.insert(job.trail, describe(job.try, err))

    if not mendable then
      give_up(job, "which no other machine can mend")
    elseif not nobody then
      job.tried += 1
      if job.tried >= attempts then
        give_up(job, `after {job.tried} attempts`)
      end
    elseif #job.avoid > 0 then
      ctx:sleep(job.pause)
      job.pause = math.min(2 * job.pause, LAST_PAUSE)
      job.avoid = {}
    else
      give_up(job, "for want of a machine")
    end
    job.items = items
    launch(job)
  end

  for task, spec in ipairs(tasks) do
    if type(spec.key) ~= "string" then
      error(`retry: task {task} has no key`, 2)
    end
    values[task] = {}
    local items = {}
    for position = 1, if spec.items then #spec.items else 1 do
      items[position] = position
    end
    local avoid = table.clone(spec.elsewhere or {})
    launch({ task = task, items = items, try = 0, tried = 0, avoid = avoid, trail = {}, pause = FIRST_PAUSE })
  end

  for _, item in ctx:stream(running) do
    local job = jobs[item.delegation.id]
    local position = job.items[item.index]
    local err = item.err
    if item.ok and options.accept then
      local fits, why = options.accept(item.value)
      if fits ~= true then
        err = {
          class = "invalid_result",
          message = why or "the value is not acceptable",
          retryable = true,
          operator = item.operator,
        }
      end
    end
    if err then
      table.insert(job.failed, { position = position, err = err })
    else
      values[job.task][position] = item.value
      if options.on_item then
        options.on_item(job.task, position, item.value, item.operator)
      end
    end
    job.missing -= 1
    if job.missing == 0 and #job.failed > 0 then
      try_again(job)
    end
  end
  return values
end

-- Carries out one task of many items, cut into delegations of `width` items, and returns the values by
-- item. The keys are `key/first-last/try`; `on_item` is called as on_item(i, value, operator).
function retry.items(ctx, task, width, options)
  options = check(options)
  local pieces = chunk.cut(task.items, width)
  local tasks = {}
  for at, piece in ipairs(pieces) do
    tasks[at] = table.clone(task)
    tasks[at].key = `{task.key}/{piece.first}-{piece.last}`
    tasks[at].items = piece.items
  end
  local each = table.clone(options)
  local on_item = options.on_item
  if on_item then
    each.on_item = function(at, position, value, operator)
      on_item(pieces[at].first + position - 1, value, operator)
    end
  end
  local values = {}
  for at, found in ipairs(retry.each(ctx, tasks, each)) do
    table.move(found, 1, #found, pieces[at].first, values)
  end
  return values
end

-- Carries out one task of one item and returns its value.
function retry.one(ctx, task, options)
  return retry.each(ctx, { task }, options)[1][1]
end

return retry
