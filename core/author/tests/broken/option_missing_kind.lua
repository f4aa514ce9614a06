return workflow("x", {}, function(ctx, input)
  local d = ctx:delegate({ input = 1 })
  return d:await().value
end)
