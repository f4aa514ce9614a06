return workflow("x", {}, function(ctx, input)
  ctx.log("here")
  return {}
end)
