return workflow("x", {}, function(ctx, input)
  local d = ctx:delegate({ kind = "prove" })
  return d:await().value
end)
