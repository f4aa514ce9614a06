return workflow("x", {}, function(ctx, input)
  local d = ctx:delegate({ kind = "a/1", needs = { ram = "4 gigs" } })
  return d:await().value
end)
