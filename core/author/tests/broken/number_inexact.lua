return workflow("x", {}, function(ctx, input)
  local p = 18446744069414584321
  return { p = p }
end)
