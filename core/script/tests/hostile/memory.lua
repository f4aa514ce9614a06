-- What grows without end: it meets the memory's cap, or on a slow day the slice's end before.

--# FRB-LUA-004 FRB-LUA-003: a string doubled
local s = "x"
while true do s ..= s end

--# FRB-LUA-004 FRB-LUA-003: a string doubled, caught
local s = "x"
while true do pcall(function() s ..= s end) end

--# FRB-LUA-004 FRB-LUA-003: strings in a list
local t = {}
while true do table.insert(t, ("x"):rep(2 ^ 16) .. #t) end

--# FRB-LUA-004 FRB-LUA-003: short strings
local t = {}
for i = 1, 1e9 do t[i] = "k" .. i end

--# FRB-LUA-004 FRB-LUA-003: tables in tables
local t = {}
while true do t = { t } end

--# FRB-LUA-004 FRB-LUA-003: large tables
local t = {}
while true do table.insert(t, table.create(2 ^ 16, t)) end

--# FRB-LUA-004 FRB-LUA-003: keys that are strings
local t = {}
for i = 1, 1e9 do t["key" .. i] = true end

--# FRB-LUA-004 FRB-LUA-003: keys that are large strings
local t = {}
for i = 1, 1e9 do t[("k"):rep(2 ^ 18) .. i] = true end

--# FRB-LUA-004 FRB-LUA-003: keys that are numbers far apart
local t = {}
for i = 1, 1e9 do t[i * 1024] = i end

--# FRB-LUA-004 FRB-LUA-003: closures
local t = {}
for i = 1, 1e9 do t[i] = function() return t, i end end

--# FRB-LUA-004 FRB-LUA-003: closures that hold each other
local f = function() end
while true do local g = f f = function() return g() end end

--# FRB-LUA-004 FRB-LUA-003: buffers
local t = {}
while true do table.insert(t, buffer.create(2 ^ 20)) end

--# FRB-LUA-004 FRB-LUA-003: one buffer
return buffer.create(2 ^ 29)

--# FRB-LUA-002 FRB-LUA-004: a buffer beyond every bound
return buffer.create(2 ^ 31 - 1)

--# FRB-LUA-004 FRB-LUA-003: parts of a large string
local s, t = ("x"):rep(2 ^ 20), {}
while true do table.insert(t, s:sub(#t + 1)) end

--# FRB-LUA-004 FRB-LUA-003: what gsub makes
local s = ("x"):rep(1000)
while true do s = s:gsub("x", "xxxx") end

--# FRB-LUA-004 FRB-LUA-003: what gsub makes in one call
return ("x"):rep(2 ^ 20):gsub("x", ("y"):rep(2 ^ 12))

--# FRB-LUA-004 FRB-LUA-003: what concat makes
local t = table.create(2 ^ 12, ("x"):rep(2 ^ 16))
return table.concat(t)

--# FRB-LUA-002 FRB-LUA-004: what format makes
local s = ("x"):rep(2 ^ 22)
return ("%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s"):format(s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s)

--# FRB-LUA-004 FRB-LUA-002: what a backquoted string makes
local s = ("x"):rep(2 ^ 22)
local t = `{s}{s}{s}{s}`
return `{t}{t}{t}{t}{t}{t}`

--# FRB-LUA-004 FRB-LUA-003: lists of captures
local t = {}
while true do table.insert(t, { ("x"):rep(2 ^ 16):match(("(.*)"):rep(8)) }) end

--# FRB-LUA-004 FRB-LUA-003: arguments
local t = table.create(2 ^ 19, 1)
local all = {}
while true do table.insert(all, table.pack(table.unpack(t))) end

--# FRB-LUA-004 FRB-LUA-002: a deep stack with wide frames
local function deep(...) return deep(1, ...) + 1 end
return deep(1)

--# FRB-LUA-003 FRB-LUA-004: rubbish
while true do local _ = { {}, {}, {} } end

--# FRB-LUA-003 FRB-LUA-004: large rubbish
while true do local _ = ("x"):rep(2 ^ 22) .. math.random() end

--# FRB-LUA-004 FRB-LUA-003 FRB-LUA-005: streams, each kept by the host
local list = { ctx:delegate { kind = "a.b/1" } }
while true do local f = ctx:stream(list) f = nil end

--# FRB-LUA-009: workflows declared in a loop
while true do pcall(workflow, "x", {}, function() end) end

--# FRB-LUA-005 FRB-LUA-004 FRB-LUA-003: delegations with small numbers
local list = table.create(4000, 1)
while true do ctx:delegate { kind = "a.b/1", input = list } end

--# FRB-LUA-005 FRB-LUA-004 FRB-LUA-003: delegations with small names
local map = {}
for i = 1, 4000 do map["k" .. i] = 1 end
while true do ctx:delegate { kind = "a.b/1", input = map } end

--# FRB-LUA-005 FRB-LUA-004 FRB-LUA-003: delegations with many items
local items = table.create(1024, 1)
while true do ctx:delegate { kind = "a.b/1", items = items } end

--# FRB-LUA-003 FRB-LUA-005: a log of eight million bytes that are not text
local s = ("\xff"):rep(2 ^ 23)
while true do ctx:log(s) end

--# FRB-LUA-002: an error of sixteen million bytes that are not text
local s = ("\xff"):rep(2 ^ 23)
error(s .. s)

--# FRB-LUA-002: an error with a message of sixteen million bytes
local s = ("\xff"):rep(2 ^ 23)
error { message = s .. s }

--# FRB-LUA-006: a result of eight million bytes
return ("x"):rep(2 ^ 23)

--# FRB-LUA-006: a result of a million numbers
return table.create(1e6, 1)

--# FRB-LUA-010 FRB-LUA-002: a module with a name of eight million bytes
return require(("x"):rep(2 ^ 23))

--# FRB-LUA-002: a field with a name of eight million bytes
return ctx[("x"):rep(2 ^ 23)]

--# FRB-LUA-002: a global with a name of eight million bytes
return getmetatable("").__index[("x"):rep(2 ^ 23)].y

--# FRB-LUA-004 FRB-LUA-003: strings in a list until there is no room for a word
local t = {}
for i = 1, 1e5 do t[i] = ("x"):rep(2000) .. i end
while true do table.sort(t) end
