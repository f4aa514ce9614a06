return workflow("x", {}, function(ctx, input)
  context:log("x")
  return {}
end)
