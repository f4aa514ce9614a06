-- The smallest pipeline that does something: one task on one machine.
--
-- A pipeline is a file that returns a workflow. It reaches the world through `ctx` alone; every call is
-- written down before it has an effect, so that after a crash the function runs again from the top and is
-- fed the results that it had.

return workflow("hello", {
  description = "hands out one task and returns what the machine made of it",
  -- Checked before the workflow starts.
  input = { name = "string" },
  output = { greeting = "string" },
}, function(ctx, input)
  local delegation = ctx:delegate {
    kind = "example.greet/1",
    input = { name = input.name },
    needs = { cpu_cores = 1, ram = "64MiB", shared = true },
    timeout = "1m",
  }
  -- A failure is data: the platform has said what happened, what to do about it is decided here.
  local result = delegation:await()
  if not result.ok then
    ctx:fail(`nobody could greet {input.name}: {result.err.class}: {result.err.message}`)
  end
  -- What a machine sends may be anything.
  if type(result.value) ~= "string" then
    ctx:fail(`the greeting is a {type(result.value)}`)
  end
  return { greeting = result.value }
end)
