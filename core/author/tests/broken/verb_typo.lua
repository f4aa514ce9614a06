return workflow("x", {}, function(ctx, input)
  local d = ctx:delegat({ kind = "a/1" })
  return { d }
end)
