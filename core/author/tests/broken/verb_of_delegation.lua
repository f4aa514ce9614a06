return workflow("x", {}, function(ctx, input)
  local d = ctx:delegate({ kind = "a/1" })
  local r = d:wait()
  return { r }
end)
