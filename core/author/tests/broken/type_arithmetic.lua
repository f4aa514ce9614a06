return workflow("x", {}, function(ctx, input)
  local name = "a"
  return { name + 1 }
end)
