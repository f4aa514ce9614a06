return workflow("x", {}, function(ctx, input)
  function helper() end
  return {}
end)
