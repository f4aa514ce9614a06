return workflow("x", {}, function(ctx, input)
  local r = ctx:delegate({ kind = "a/1" }):await()
  ctx:log(r.err.message)
  return {}
end)
