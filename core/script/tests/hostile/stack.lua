-- What goes deep: Lua's stack, C's stack, chains and cycles.

--# FRB-LUA-002: recursion
local function f() return 1 + f() end
return f()

--# FRB-LUA-002 FRB-LUA-003: recursion through pcall
local function f() return select(2, pcall(f)) end
return 1 + f()

--# FRB-LUA-002: recursion through a metamethod
local t = setmetatable({}, {})
getmetatable(t).__index = function(_, k) return t[k .. "x"] end
return t.x

--# FRB-LUA-002: recursion through __newindex
local t = setmetatable({}, {})
getmetatable(t).__newindex = function(_, k, v) t[k .. "x"] = v end
t.x = 1

--# FRB-LUA-002: recursion through __concat
local mt = {}
local t = setmetatable({}, mt)
mt.__concat = function(a) return a .. t end
return t .. t

--# FRB-LUA-002: recursion through __tostring
local t = setmetatable({}, {})
getmetatable(t).__tostring = function() return tostring(t) end
return tostring(t)

--# FRB-LUA-002: recursion through __eq
local mt = {}
local a, b = setmetatable({}, mt), setmetatable({}, mt)
mt.__eq = function() return a == b end
return a == b

--# FRB-LUA-002: recursion through sort
local function again() table.sort({ 1, 2, 3 }, again) return true end
again()

--# FRB-LUA-002: recursion through gsub
local function again(s) return (s:gsub(".", again)) end
return again("x")

--# FRB-LUA-002: recursion through an iterator
local function again() for _ in again do end end
again()

--# FRB-LUA-002: recursion through __call
local t = setmetatable({}, {})
getmetatable(t).__call = t
return t()

--# FRB-LUA-002: a long chain of __index
local t = {}
for _ = 1, 1000 do t = setmetatable({}, { __index = t }) end
return t.x

--# FRB-LUA-002: a chain of __index that bites its tail
local a, b = {}, {}
setmetatable(a, { __index = b }) setmetatable(b, { __index = a })
return a.x

--# FRB-LUA-002 FRB-LUA-004: a million arguments
local function f(...) return select("#", ...) end
local t = table.create(9e5, 1)
return f(table.unpack(t), f(table.unpack(t))) + f(f, table.unpack(table.create(2e6, 1)))

--# FRB-LUA-002: nested captures
return ("x"):match(("("):rep(40) .. ")")

--# FRB-LUA-002: a pattern that recurses
return ("x"):rep(300000):match(("x?"):rep(300) .. "y")

--# FRB-LUA-006: a result that contains itself
local t = {}
t.t = t
return t

--# FRB-LUA-006: a result that is deep
local t = {}
for _ = 1, 1e5 do t = { t } end
return t

--# FRB-LUA-002: an input that is deep
local t = {}
for _ = 1, 1e5 do t = { t } end
ctx:delegate { kind = "a.b/1", input = t }

--# FRB-LUA-002: an error within the handling of an error
xpcall(error, function() error("again") end)
local function handler() error(setmetatable({}, { __tostring = error })) end
error(select(2, xpcall(error, handler)))

--# FRB-LUA-003 FRB-LUA-002: a queue of handlers
local function f(n) return xpcall(f, f, n) end
while true do f(1) end
