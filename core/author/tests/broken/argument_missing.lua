return workflow("x", {}, function(ctx, input)
  ctx:sleep()
  return {}
end)
