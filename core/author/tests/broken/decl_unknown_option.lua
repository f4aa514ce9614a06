return workflow("x", { inputs = {} }, function() return {} end)
