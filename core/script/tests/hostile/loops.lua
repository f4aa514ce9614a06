-- Endless loops in every guise. A section is the body of a workflow; its header gives the codes with which
-- it may fail, and a name.

--# FRB-LUA-003: a loop with nothing in it
while true do end

--# FRB-LUA-003: a loop in pcall in a loop
while true do pcall(function() while true do end end) end

--# FRB-LUA-003: pcall of pcall of pcall
while true do pcall(pcall, pcall, pcall, error) end

--# FRB-LUA-003: the handler of xpcall
while true do xpcall(error, function() while true do end end) end

--# FRB-LUA-003: a handler that fails again and again
local function handler() error("again") end
while true do xpcall(error, handler, 1) end

--# FRB-LUA-003: a thousand nested pcalls, each with a loop behind it
local function nest(n)
  if n > 0 then pcall(nest, n - 1) end
  while true do end
end
nest(150)

--# FRB-LUA-003: catch the stop, then go on
for _ = 1, 100 do
  pcall(function()
    for _ = 1, 100 do pcall(function() while true do end end) end
  end)
end
while true do end

--# FRB-LUA-003: two functions that call each other through pcall
local ping, pong
function ping() pcall(pong) end
function pong() pcall(ping) end
while true do ping() end

--# FRB-LUA-003: __index
local t = setmetatable({}, { __index = function() while true do end end })
return t.x

--# FRB-LUA-003: __newindex
local t = setmetatable({}, { __newindex = function() while true do end end })
t.x = 1

--# FRB-LUA-003: __len
local t = setmetatable({}, { __len = function() while true do end end })
return #t

--# FRB-LUA-003: __lt under sort
local mt = { __lt = function() while true do end end }
table.sort { setmetatable({}, mt), setmetatable({}, mt) }

--# FRB-LUA-003: __le
local mt = { __le = function() while true do end end }
return setmetatable({}, mt) <= setmetatable({}, mt)

--# FRB-LUA-003: __unm
return -setmetatable({}, { __unm = function() while true do end end })

--# FRB-LUA-003: __call
setmetatable({}, { __call = function() while true do end end })()

--# FRB-LUA-003: __tostring in a backquoted string
local t = setmetatable({}, { __tostring = function() while true do end end })
return `{t}`

--# FRB-LUA-003: __tostring in format
local t = setmetatable({}, { __tostring = function() while true do end end })
return string.format("%s %*", t, t)

--# FRB-LUA-003: __iter that gives nothing but itself
local t t = setmetatable({}, { __iter = function() return function() return t end end })
for _ in t do end

--# FRB-LUA-003: __iter itself
for _ in setmetatable({}, { __iter = function() while true do end end }) do end

--# FRB-LUA-003: an iterator without end
for _ in function() return 1 end do end

--# FRB-LUA-003: an iterator made of pcall
for _ in pcall, function() end do end

--# FRB-LUA-003: next from the start again and again
local t = { 1 }
while true do next(t) end

--# FRB-LUA-003 FRB-LUA-002: a comparison that never agrees with itself
local list = {}
for i = 1, 1e5 do list[i] = i end
while true do table.sort(list, function(a, b) return math.random() < 0.5 end) end

--# FRB-LUA-003: a comparison that is always true
local list = table.create(1e5, 1)
while true do pcall(table.sort, list, function() return true end) end

--# FRB-LUA-003: the callback of gsub
while true do ("x"):gsub("x", function() while true do end end) end

--# FRB-LUA-003: gsub in gsub in gsub
local function again(s) return (s:gsub(".", again)) end
while true do pcall(again, "xx") end

--# FRB-LUA-003: a gmatch that never gets on
while true do for _ in ("x"):rep(1000):gmatch("()") do end end

--# FRB-LUA-003: a step of nearly nothing
for i = 1, 2, 1e-300 do end

--# FRB-LUA-003: a numeric loop to infinity, downwards
for i = 1, -math.huge, -1 do end

--# FRB-LUA-003: recursion without end, caught
local function deeper() return deeper() + 1 end
while true do pcall(deeper) end

--# FRB-LUA-003: recursion through a table
local t = {}
function t.f() pcall(t.f) return t.f() end
while true do pcall(t.f) end

--# FRB-LUA-003: a verb that refuses
while true do pcall(ctx.delegate, ctx, { kind = 5 }) end

--# FRB-LUA-003: a name that ctx has not
while true do pcall(function() return ctx.delegat end) end

--# FRB-LUA-003: random numbers without end
while true do math.random(10) end

--# FRB-LUA-003: a stream of nothing
local taken = ctx:stream {}
while true do taken() end

--# FRB-LUA-003: repeat until a function agrees
repeat until (function() return false end)()

--# FRB-LUA-003: continue for ever
while true do continue end

--# FRB-LUA-003: errors whose value is a table with a loop
local e = setmetatable({}, { __tostring = function() while true do end end })
while true do pcall(error, e) end

--# FRB-LUA-003 FRB-LUA-005 FRB-LUA-004: fibers without end
while true do ctx:spawn(function() end) end

--# FRB-LUA-003 FRB-LUA-005 FRB-LUA-004: fibers that spawn fibers
local function again() ctx:spawn(again) ctx:spawn(again) end
again()
ctx:sleep(1)

--# FRB-LUA-003: a fiber with a loop
ctx:spawn(function() while true do pcall(function() while true do end end) end end)
ctx:sleep(1)
