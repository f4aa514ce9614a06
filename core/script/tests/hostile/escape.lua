-- Attempts to reach what is not the workflow's.

--# FRB-LUA-002: the library behind strings
getmetatable("").__index.rep = nil

--# FRB-LUA-002: the metatable of strings
getmetatable("").__add = function() return 1 end

--# FRB-LUA-002: a new metatable for strings
setmetatable("", {})

--# FRB-LUA-002: a library by rawset
rawset(string, "rep", nil)

--# FRB-LUA-002: a library by table.clear
table.clear(math)

--# FRB-LUA-002: a library by table.insert
table.insert(table, 1)

--# FRB-LUA-002: a library by table.move
table.move({ 1 }, 1, 1, 1, bit32)

--# FRB-LUA-002: a library by table.sort
table.sort(setmetatable(vector, {}))

--# FRB-LUA-002: a library by setmetatable
setmetatable(buffer, { __index = {} })

--# FRB-LUA-002: a new global
answer = 42

--# FRB-LUA-002: a global replaced
pairs = function() end

--# FRB-LUA-002: the metatable of the globals
local env = getmetatable(string) or getmetatable(ctx)
rawset(env, "__index", nil)

--# FRB-LUA-002: ctx by rawset
rawset(ctx, "delegate", nil)

--# FRB-LUA-002: ctx by assignment
ctx.delegate = nil

--# FRB-LUA-002: a method of delegations
local d = ctx:delegate { kind = "a.b/1" }
d.await = nil

--# FRB-LUA-002: the methods behind a delegation
local d = ctx:delegate { kind = "a.b/1" }
rawset(getmetatable(d).__index, "await", nil)

--# FRB-LUA-002: a delegation by table.clear
table.clear(ctx:delegate { kind = "a.b/1" })

--# FRB-LUA-002: another's call number
local d = ctx:delegate { kind = "a.b/1" }
rawset(d, "id", 99)

--# FRB-LUA-002: a false delegation
local d = ctx:delegate { kind = "a.b/1" }
ctx:all { setmetatable({ id = d.id, key = d.key }, getmetatable(d)) }

--# FRB-LUA-002: a clone of a delegation
table.clone(ctx:delegate { kind = "a.b/1" })

--# FRB-LUA-002: verbs on something else
ctx.delegate({}, { kind = "a.b/1" })

--# FRB-LUA-002: coroutine
coroutine.wrap(function() end)()

--# FRB-LUA-002: bytecode
loadstring("\27Lua")()

--# FRB-LUA-002: load
load("return 1")()

--# FRB-LUA-002: dofile
dofile("/etc/passwd")

--# FRB-LUA-002: io
io.open("/etc/passwd")

--# FRB-LUA-002: os
os.execute("true")

--# FRB-LUA-002: debug
debug.info(1, "f")

--# FRB-LUA-002: getfenv
getfenv(1).string = nil

--# FRB-LUA-002: setfenv
setfenv(1, {})

--# FRB-LUA-002: newproxy
newproxy(true)

--# FRB-LUA-002: collectgarbage
collectgarbage("collect")

--# FRB-LUA-002: gcinfo
return gcinfo()

--# FRB-LUA-002: _G
return _G.string

--# FRB-LUA-002: shared
return shared.x

--# FRB-LUA-002: package
return package.loaded

--# FRB-LUA-002: string.dump
return string.dump(function() end)

--# FRB-LUA-002: __gc, which must never run
setmetatable({}, { __gc = function() error("it ran") end })
local _ = table.create(2 ^ 18, {})
error("after all")

--# FRB-LUA-002: __mode
setmetatable({}, { ["__" .. "mode"] = "k" })

--# FRB-LUA-002: a locked metatable
local t = setmetatable({}, { __metatable = false })
setmetatable(t, {})

--# FRB-LUA-002: an error that pretends to be ours
error("froben:0: not enough memories")

--# FRB-LUA-002: an error that pretends to be of another file
error("lib/retry.lua:1: not me", 0)

--# FRB-LUA-004: an error that pretends to be of the memory
error("not enough memory", 0)

--# FRB-LUA-010: a module outside
require("lib/../../../etc/passwd")

--# FRB-LUA-010: a module that is absolute
require("/etc/passwd")

--# FRB-LUA-010: a pipeline as a module
require("pipelines/t")

--# FRB-LUA-010 FRB-LUA-002: a module that is a table
require({})

--# FRB-LUA-002: keys that are objects, looped over
local t = {}
for i = 1, 10 do t[{}] = i end
for k in t do ctx:log(tostring(k)) end
