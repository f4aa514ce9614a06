return workflow("x", {}, function(ctx, input)
  ctx:status("witness")
  return {}
end)
