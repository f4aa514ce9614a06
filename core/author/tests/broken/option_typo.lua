return workflow("x", {}, function(ctx, input)
  local d = ctx:delegate({ kind = "a/1", timeot = "5m" })
  return d:await().value
end)
