return workflow("x", {}, function(ctx, input)
  math.randomseed(1)
  return {}
end)
