return workflow("x", {}, function(ctx, input)
  return { a = 1, b = 2, a = 3 }
end)
