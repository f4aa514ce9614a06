return workflow("x", {}, function(ctx, input)
  local count = 1
  return { total = cuont }
end)
