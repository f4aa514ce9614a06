return workflow("x", {}, function(ctx, input)
  local d, t = ctx:delegate({ kind = "a/1" }), {}
  t[d] = 1
  for k in t do ctx:log(k.key) end
  return {}
end)
