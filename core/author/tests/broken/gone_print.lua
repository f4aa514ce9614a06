return workflow("x", {}, function(ctx, input)
  print("here")
  return {}
end)
