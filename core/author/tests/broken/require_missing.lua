local _ = require("lib/none")
return workflow("x", {}, function() return {} end)
