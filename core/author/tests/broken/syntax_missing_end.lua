return workflow("x", {}, function(ctx, input)
  if input.a then return {} 
