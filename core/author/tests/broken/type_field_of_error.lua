return workflow("x", {}, function(ctx, input)
  local r = ctx:delegate({ kind = "a/1" }):await()
  if not r.ok then
    ctx:log(r.err.mesage)
  end
  return {}
end)
