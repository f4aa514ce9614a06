return workflow("x", {}, function(ctx, input)
  for _, item in ctx:stream({ ctx:delegate({ kind = "a/1" }) }) do
    ctx:log(item.eror)
  end
  return {}
end)
