return workflow("x", {}, function(ctx, input)
  local result = ctx:delegate({ kind = "a/1" }):await()
  if not result.ok and result.err.class == "timed_out" then
    ctx:fail("too slow")
  end
  return result.value
end)
