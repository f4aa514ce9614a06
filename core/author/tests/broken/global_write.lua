return workflow("x", {}, function(ctx, input)
  done = 0
  return {}
end)
