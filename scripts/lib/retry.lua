-- Hands out tasks and tries again what fails.
--
-- The platform tells what happened to each item and who had it; what to do about it is decided here, in
-- plain Lua on the public verbs, so that an author can read it, copy it and change it. The policy:
--
--   * Only the items that failed are tried again; what has arrived stays.
--   * As a task of its own with a fresh key, and on another operator: all that failed it so far are
--     avoided, and whoever sent a value that the script does not accept.
--   * Each cause has a budget of its own, so that machines that come and go do not use up the patience
--     for a task that fails: `lost` (the machine went away), `timeout`, `out_of_memory`, `invalid` (the
--     value is not acceptable) and `error` (the worker failed).
--   * `bad_request` says that no machine can do the task. That is one operator's word, which costs nobody
--     reputation, so it counts once a second operator has given it. Until then the item is tried elsewhere,
--     and whoever gave it is not asked again. If nobody else takes it for two minutes, the word stands.
--   * If nobody else can take it (`no_capacity` while some are avoided), those that failed it may have it
--     again after a pause. That is in no budget, because nobody tried. If nobody can take it at all, that
--     is the end.
--   * When a budget is used up, or at the first error that no other machine can mend, an error is raised
--     that tells the whole trail.

local chunk = require("lib/chunk")
local options = require("lib/options")

local retry = {}

-- How long a retry waits for an operator other than those that failed it.
local ELSEWHERE = "10s"
-- How long it waits for a second operator's word. Longer, since others may only be busy, and there is no
-- way back to the first one.
local SECOND_OPINION = "2m"
-- The pause, in seconds, before a task goes back to operators that failed it. It doubles each time.
local RETURN = 0.5
-- No pause grows beyond this.
local LONGEST_PAUSE = 60

local CAUSES = {
  disconnected = "lost",
  timeout = "timeout",
  out_of_memory = "out_of_memory",
  invalid_result = "invalid",
  worker_failed = "error",
  bad_request = "bad_request",
}
local ATTEMPTS = 5
local BUDGETS = {
  lost = "number",
  timeout = "number",
  out_of_memory = "number",
  invalid = "number",
  error = "number",
  bad_request = "number",
}
local OPTIONS = {
  attempts = "number",
  budgets = "table",
  backoff = "number",
  accept = "function",
  on_item = "function",
}

-- Errors of the options are raised `level` functions above: 2 is the caller's caller.
local function whole(what, number, level)
  if number ~= math.floor(number) or number < 1 or number > 2 ^ 53 then
    error(`retry: {what} is a whole number, 1 or more, got {number}`, level + 1)
  end
end

-- How often an item may fail for each cause.
local function read_budgets(given, level)
  local attempts = given.attempts or ATTEMPTS
  whole("attempts", attempts, level + 1)
  local budgets = table.clone(options.check("retry: budgets", given.budgets, BUDGETS, level + 1))
  for cause, budget in pairs(budgets) do
    whole(`the budget for {cause}`, budget, level + 1)
  end
  -- What is lost says nothing about the task, so there may be more of it.
  local usual = { lost = 2 * attempts, bad_request = math.min(2, attempts) }
  for cause in pairs(BUDGETS) do
    budgets[cause] = budgets[cause] or usual[cause] or attempts
  end
  return budgets
end

-- What became of one try, for the trail.
local function describe(try, err)
  local where = if err.operator then ` at {err.operator}` else ""
  return `try {try}: {err.class}{where}: {err.message}`
end

-- What `retry.each` does; `level` is as that of `whole`.
local function each(ctx, tasks, given, level)
  given = options.check("retry", given, OPTIONS, level + 1)
  local budgets = read_budgets(given, level + 1)
  if given.backoff and not (given.backoff >= 0 and given.backoff < 2 ^ 31) then
    error(`retry: backoff is a number of seconds, got {given.backoff}`, level + 1)
  end
  if type(tasks) ~= "table" or tasks.kind ~= nil then
    error("retry.each: a list of tasks was expected; write { } around a single one, or use retry.one", level + 1)
  end
  -- Jobs in the order in which they began, and by the number of their delegation.
  local begun, jobs = {}, {}
  local values = {}
  -- Fibers in which jobs go on that have to pause, and why it is all in vain.
  local paused, hopeless = {}, nil
  -- What a function of the caller's raised in such a fiber, in a table.
  local raised: { any }? = nil

  -- A job is some items of one task, and how they fared so far. This makes a delegation of it.
  local function hand_out(job)
    local task = tasks[job.task]
    local spec = table.clone(task)
    job.try += 1
    job.missing, job.failed = #job.items, {}
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
      spec.queue_timeout = if #job.avoid > #job.objectors then ELSEWHERE else SECOND_OPINION
    end
    job.delegation = ctx:delegate(spec)
    jobs[job.delegation.id] = job
    return job.delegation
  end

  -- Ends it all: what others are still at would be of no use.
  local function give_up(job, why)
    local key = tasks[job.task].key
    hopeless = `{key}: {#job.failed} of its items failed, {why}: {table.concat(job.trail, "; ")}`
    for _, other in ipairs(begun) do
      if other.missing > 0 then
        other.delegation:cancel()
      end
    end
  end

  -- The item has a value that is acceptable, or failed.
  local function take(job, item)
    local position, err = job.items[item.index], item.err
    if item.ok and given.accept then
      local fits, why = given.accept(item.value)
      if fits ~= true then
        err = {
          class = "invalid_result",
          message = why or "the value is not acceptable",
          retryable = true,
          operator = item.operator,
        }
      end
    end
    job.missing -= 1
    if err then
      table.insert(job.failed, { position = position, err = err })
      return
    end
    values[job.task][position] = item.value
    if given.on_item then
      given.on_item(job.task, position, item.value, item.operator)
    end
  end

  -- Why there is an end to an item that these operators call a bad request.
  local function by_word_of(operators)
    return `which no machine can do by the word of {table.concat(operators, " and ")}`
  end

  -- Books a failed item. True if another machine may mend it and the budget allows that.
  local function book(job, failed)
    local err, position = failed.err, failed.position
    if err.class == "no_capacity" then
      -- The attempt was broken off, and nobody was there to go on with it.
      return true
    end
    if err.operator and not table.find(job.avoid, err.operator) then
      table.insert(job.avoid, err.operator)
    end
    local cause = CAUSES[err.class]
    -- Of what is final, only the word of a machine is in doubt.
    if not cause or not (err.retryable or err.operator) then
      give_up(job, "which no other machine can mend")
      return false
    end
    local spent = job.spent[position] or {}
    job.spent[position] = spent
    spent[cause] = (spent[cause] or 0) + 1
    local why = `after {job.tried} attempts`
    if cause == "bad_request" then
      local said = job.said[position] or {}
      job.said[position] = said
      table.insert(said, err.operator)
      why = by_word_of(said)
    end
    if spent[cause] >= budgets[cause] then
      give_up(job, why)
      return false
    end
    return true
  end

  -- The operators that call an item which is still missing a bad request.
  local function objectors(job)
    local found = {}
    for _, failed in ipairs(job.failed) do
      for _, operator in ipairs(job.said[failed.position] or {}) do
        if not table.find(found, operator) then
          table.insert(found, operator)
        end
      end
    end
    return found
  end

  -- A delegation is over and some of its items have no value. Returns for how long to pause before the
  -- next try; nothing if there is none.
  local function judge(job)
    local worst, nobody = job.failed[1].err, true
    for _, failed in ipairs(job.failed) do
      nobody = nobody and failed.err.class == "no_capacity"
      if not failed.err.retryable then
        worst = failed.err
      end
    end
    table.insert(job.trail, describe(job.try, worst))
    ctx:log(`{tasks[job.task].key}: {#job.failed} items failed, {job.trail[#job.trail]}`)

    job.tried += if nobody then 0 else 1
    for _, failed in ipairs(job.failed) do
      if not book(job, failed) then
        return nil
      end
    end
    job.objectors = objectors(job)

    local pause = job.pause
    if not nobody then
      job.pause = math.min(2 * job.pause, LONGEST_PAUSE)
    elseif #job.avoid > #job.objectors then
      job.avoid = table.clone(job.objectors)
      pause = math.max(pause, job.back)
      job.back = math.min(2 * job.back, LONGEST_PAUSE)
    elseif #job.objectors > 0 then
      return give_up(job, `{by_word_of(job.objectors)}; nobody else took it to say otherwise`)
    else
      return give_up(job, "for want of a machine")
    end
    job.items = {}
    for at, failed in ipairs(job.failed) do
      job.items[at] = failed.position
    end
    return pause
  end

  -- Follows the delegations of the list. A retry is appended, and so joins the stream; one that has to
  -- pause does so in a fiber, beside the others.
  local function follow(running)
    for _, item in ctx:stream(running) do
      if hopeless or raised then
        return
      end
      local job = jobs[item.delegation.id]
      take(job, item)
      local pause = if job.missing == 0 and #job.failed > 0 then judge(job) else nil
      if hopeless then
        return
      elseif pause and pause > 0 then
        local fiber = ctx:spawn(function()
          ctx:sleep(pause)
          if hopeless or raised then
            return
          end
          -- The caller has to be able to catch it.
          local ok, why = pcall(function()
            follow({ hand_out(job) })
          end)
          if not ok then
            raised = raised or { why }
          end
        end)
        table.insert(paused, fiber)
      elseif pause then
        table.insert(running, hand_out(job))
      end
    end
  end

  local first = {}
  for task, spec in ipairs(tasks) do
    if type(spec.key) ~= "string" then
      error(`retry: task {task} has no key`, level + 1)
    end
    values[task] = {}
    local items = {}
    for position = 1, if spec.items then #spec.items else 1 do
      items[position] = position
    end
    begun[task] = {
      task = task,
      items = items,
      -- Delegations made of it; of these, those that somebody tried.
      try = 0,
      tried = 0,
      trail = {},
      avoid = table.clone(spec.elsewhere or {}),
      -- By item, how often it failed for which cause.
      spent = {},
      -- By item, who called it a bad request, and all who did so of one that is missing.
      said = {},
      objectors = {},
      pause = given.backoff or 0,
      back = RETURN,
    }
    first[task] = hand_out(begun[task])
  end
  follow(first)
  local at = 1
  while paused[at] and not hopeless and not raised do
    paused[at]:await()
    at += 1
  end
  if raised then
    error(raised[1], 0)
  end
  if hopeless then
    error(hopeless, 0)
  end
  return values
end

-- Carries out every task of the list `tasks`, all at once, and returns their values: `values[t][i]` is
-- that of item `i` of task `t`. A task is what `ctx:delegate` takes, with a `key`; try `n` of it has the
-- key `key/n`. With `elsewhere`, a list of operators, it goes to others if there are any, as if these had
-- failed it already.
--
-- given.attempts   how often an item may fail for one cause, the last time for good; 5 if left out
-- given.budgets    the same for single causes: { lost, timeout, out_of_memory, invalid, error, bad_request };
--                  if left out, `lost` is twice `attempts`, and `bad_request`, which is how many operators
--                  have to say so, 2 at most
-- given.backoff    seconds before the first retry of a task, doubled each time; none if left out
-- given.accept     called with each value; a result for which it does not return true counts as
--                  `invalid_result`, and its second result says why
-- given.on_item    called as on_item(t, i, value, operator) when an item is done
function retry.each(ctx, tasks, given)
  return each(ctx, tasks, given, 2)
end

-- Carries out one task of many items, cut into delegations of `width` items, and returns the values by
-- item. The keys are `key/first-last/try`; `on_item` is called as on_item(i, value, operator).
function retry.items(ctx, task, width, given)
  given = options.check("retry", given, OPTIONS, 2)
  if type(task) ~= "table" or type(task.items) ~= "table" then
    error("retry.items: a task with `items` was expected", 2)
  end
  local pieces = chunk.cut(task.items, width)
  local tasks = {}
  for at, piece in ipairs(pieces) do
    tasks[at] = table.clone(task)
    tasks[at].key = `{task.key}/{piece.first}-{piece.last}`
    tasks[at].items = piece.items
  end
  local options_of_each = table.clone(given)
  local on_item = given.on_item
  if on_item then
    options_of_each.on_item = function(at, position, value, operator)
      on_item(pieces[at].first + position - 1, value, operator)
    end
  end
  local values = {}
  for at, found in ipairs(each(ctx, tasks, options_of_each, 2)) do
    table.move(found, 1, #found, pieces[at].first, values)
  end
  return values
end

-- Carries out one task of one item and returns its value.
function retry.one(ctx, task, given)
  if type(task) ~= "table" or (type(task.items) == "table" and #task.items ~= 1) then
    error("retry.one: a task of one item was expected; retry.items takes more", 2)
  end
  return each(ctx, { task }, given, 2)[1][1]
end

return retry
