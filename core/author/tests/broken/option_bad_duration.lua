return workflow("x", {}, function(ctx, input)
  local d = ctx:delegate({ kind = "a/1", timeout = "5 minutes" })
  return d:await().value
end)
