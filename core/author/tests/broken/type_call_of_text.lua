return workflow("x", {}, function(ctx, input)
  local name = "a"
  name()
  return {}
end)
