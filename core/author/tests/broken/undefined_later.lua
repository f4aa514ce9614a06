return workflow("x", {}, function(ctx, input)
  local _ = helper(input)
  local function helper() end
  return { helper }
end)
