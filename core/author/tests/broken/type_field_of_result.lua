return workflow("x", {}, function(ctx, input)
  local r = ctx:delegate({ kind = "a/1" }):await()
  return { r.vlaue }
end)
