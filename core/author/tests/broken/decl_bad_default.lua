return workflow("x", {
  input = { a = { "b", "c", default = "d" } },
}, function() return {} end)
