return workflow("x", {
  input = { a = "blbo" },
}, function() return {} end)
