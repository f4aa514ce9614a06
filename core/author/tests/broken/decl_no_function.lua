return workflow("x", {})
