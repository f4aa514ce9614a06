return workflow("x", {}, function(ctx, input)
  local d = ctx:delegate({ kind = "a/1", needs = { gpu = 1 } })
  return d:await().value
end)
