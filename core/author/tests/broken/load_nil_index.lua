local t = nil
local _ = (t :: any).x
