return workflow("x", {}, function(ctx, input)
  local places = { first = 1 }
  ctx:log("x")
  ctx:log(places.last)
  return {}
end)
