return workflow("x", {}, function(ctx, input)
  local started = os.time()
  return { started = started }
end)
