return workflow("x", {}, function(ctx, input)
  string.trim = nil
  return {}
end)
