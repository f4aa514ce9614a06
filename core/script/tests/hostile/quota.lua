-- Too much of what the journal pays for.

--# FRB-LUA-005 FRB-LUA-003 FRB-LUA-004: delegations
for i = 1, 1e9 do ctx:delegate { kind = "a.b/1" } end

--# FRB-LUA-005 FRB-LUA-003 FRB-LUA-004: delegations, caught
while true do pcall(ctx.delegate, ctx, { kind = "a.b/1" }) end

--# FRB-LUA-005 FRB-LUA-004: delegations that are heavy
local s = ("x"):rep(250000)
while true do ctx:delegate { kind = "a.b/1", input = { s } } end

--# FRB-LUA-005 FRB-LUA-004: items that are heavy
local s = ("x"):rep(250000)
while true do ctx:delegate { kind = "a.b/1", items = { s, s, s, s, s, s, s, s, s, s } } end

--# FRB-LUA-002: a delegation that is too heavy
local s = ("x"):rep(250000)
ctx:delegate { kind = "a.b/1", items = table.create(20, s) }

--# FRB-LUA-005 FRB-LUA-003 FRB-LUA-004: statuses
while true do ctx:status { phase = "x" } end

--# FRB-LUA-005 FRB-LUA-003 FRB-LUA-004: statuses that are heavy
while true do ctx:status { phase = ("x"):rep(4000) } end

--# FRB-LUA-003 FRB-LUA-005: logs
while true do ctx:log("x") end

--# FRB-LUA-003 FRB-LUA-005: logs that are heavy
while true do ctx:log(("x"):rep(4000)) end

--# FRB-LUA-003: cancel the same again and again
local d = ctx:delegate { kind = "a.b/1" }
while true do d:cancel() end

--# FRB-LUA-002: too many items
ctx:delegate { kind = "a.b/1", items = table.create(1025, 1) }

--# FRB-LUA-002: a key that is long
ctx:delegate { kind = "a.b/1", key = ("x"):rep(201) }

--# FRB-LUA-002: a sleep that is long
ctx:sleep("31d")

--# FRB-LUA-002: a time that is none
ctx:sleep(0 / 0)

--# FRB-LUA-002: an infinite time
ctx:sleep(math.huge)

--# FRB-LUA-002: a number that is not exact
ctx:delegate { kind = "a.b/1", input = 2 ^ 53 + 2 }

--# FRB-LUA-002: a number that is none
ctx:delegate { kind = "a.b/1", input = 0 / 0 }

--# FRB-LUA-002: a list with a hole
ctx:delegate { kind = "a.b/1", input = { 1, nil, 3 } }

--# FRB-LUA-002: many operators to avoid
local avoid = {}
for i = 1, 1000 do avoid[i] = "op-" .. i end
ctx:delegate { kind = "a.b/1", avoid = avoid }

--# FRB-LUA-002: options without end
local options = {}
for i = 1, 1e5 do options["o" .. i] = i end
ctx:delegate(options)

--# FRB-LUA-002: wait for what is no delegation, a million times
ctx:all(table.create(1e6, 1))

--# FRB-LUA-002: wait for the same twice
local d = ctx:delegate { kind = "a.b/1" }
for _ in ctx:stream { d, d } do end

--# FRB-LUA-002: wait inside a callback of C
table.sort({ 1, 2 }, function() ctx:sleep(1) return true end)

--# FRB-LUA-002: wait inside a metamethod of C
("x"):gsub("x", function() ctx:delegate({ kind = "a.b/1" }):await() end)
