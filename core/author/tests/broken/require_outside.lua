local _ = require("../secrets")
return workflow("x", {}, function() return {} end)
