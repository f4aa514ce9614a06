return workflow("x", {}, function(ctx, input)
  local d = ctx:delegate({ kind = "a/1", items = "all" })
  return d:await().value
end)
