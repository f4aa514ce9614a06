return workflow("x", {}, function(ctx, input)
  local _ = coroutine.wrap(input.f)
  return {}
end)
