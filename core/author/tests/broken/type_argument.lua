return workflow("x", {}, function(ctx, input)
  local text = "five"
  ctx:log(text:len() :: any)
  ctx:stream(text)
  return {}
end)
