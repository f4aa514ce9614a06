return workflow("x", {}, function() end
