return workflow("Not A Name", {}, function() return {} end)
