-- Loops in C that never reach a safepoint by themselves, and large arguments in general.

--# FRB-LUA-003: backtracking
return ("a"):rep(1e4):find(".-.-.-.-b$")

--# FRB-LUA-003: a pattern of a hundred optional characters
return ("a"):rep(100):find(("a?"):rep(100) .. ("a"):rep(100))

--# FRB-LUA-003: balanced brackets that never balance
return ("("):rep(1e6):gsub("%b()", "")

--# FRB-LUA-003: a frontier at every place
while true do ("ab "):rep(1e5):gsub("%f[%w]%w+%f[%W]", "") end

--# FRB-LUA-003: a back reference
while true do local _ = ("ab"):rep(1e4):match("^(.-)%1-$") end

--# FRB-LUA-002: a plain find that is quadratic
return ("a"):rep(6 * 2 ^ 20):find(("a"):rep(3 * 2 ^ 20) .. "b", 1, true)

--# FRB-LUA-002: a find whose pattern is as large as the text
return ("ab"):rep(2 ^ 20):find(("ab"):rep(2 ^ 19) .. "c")

--# FRB-LUA-002: split at every byte
return ("x"):rep(2 ^ 23):split("")

--# FRB-LUA-003: split at every byte of what it takes
while true do local _ = (","):rep(2 ^ 20):split(",") end

--# FRB-LUA-002: repeat beyond every bound
return ("x"):rep(2 ^ 31 - 1)

--# FRB-LUA-002: repeat an empty string without end, then a full one
local _ = (""):rep(2 ^ 31 - 1)
return ("xx"):rep(2 ^ 30)

--# FRB-LUA-002: move a gap
return table.move({}, 1, 2 ^ 30, 2)

--# FRB-LUA-002: move with bounds that are not numbers
return table.move({}, 0 / 0, 0 / 0, 1)

--# FRB-LUA-002: move with bounds as text
return table.move({}, "-2147483648", "-1", 1)

--# FRB-LUA-002: concat a gap
return table.concat({}, "", 1, 2 ^ 30)

--# FRB-LUA-002: concat from below zero
return table.concat({}, "", -2 ^ 31 + 1, 2 ^ 31 - 1)

--# FRB-LUA-004 FRB-LUA-002: a separator that is large
return table.concat(table.create(2 ^ 16, ""), ("x"):rep(2 ^ 20))

--# FRB-LUA-002: unpack a gap
return table.unpack({}, 1, 2 ^ 30)

--# FRB-LUA-002: unpack from below zero
return table.unpack({}, -2 ^ 31 + 1, 2 ^ 31 - 1)

--# FRB-LUA-002: select from the end
return select(-1e9, 1, 2, 3)

--# FRB-LUA-002: bytes of more than the stack
return ("x"):rep(2 ^ 21):byte(1, -1)

--# FRB-LUA-002: code points of more than the stack
return utf8.codepoint(("x"):rep(2 ^ 21), 1, -1)

--# FRB-LUA-004 FRB-LUA-002: a table of every index there is
return table.create(2 ^ 26)

--# FRB-LUA-002: a table of a negative size
return table.create(-1)

--# FRB-LUA-002: insert at the front of what is long
local t = table.create(2 ^ 21, 1)
table.insert(t, 1, 1)

--# FRB-LUA-002: insert at the front, the place as text
local t = table.create(2 ^ 21, 1)
table.insert(t, "1", 1)

--# FRB-LUA-002: remove from the front of what is long
local t = table.create(2 ^ 21, 1)
return table.remove(t, 1)

--# FRB-LUA-003: a queue of a hundred thousand
local t = table.create(1e5, 1)
while true do table.insert(t, 1, table.remove(t)) end

--# FRB-LUA-003: look for what is not there
local t = table.create(2 ^ 21, 1)
while true do table.find(t, 2) end

--# FRB-LUA-003 FRB-LUA-004: clear and fill
while true do table.clear(table.create(2 ^ 20, 1)) end

--# FRB-LUA-003 FRB-LUA-004: clone and clone
local t = table.create(2 ^ 20, 1)
while true do local _ = table.clone(t) end

--# FRB-LUA-003: freeze and ask
while true do table.isfrozen(table.freeze {}) end

--# FRB-LUA-003: sort what is sorted
local t = {}
for i = 1, 1e5 do t[i] = i end
while true do table.sort(t) end

--# FRB-LUA-003: sort long texts that are nearly equal
local t = {}
for i = 1, 60 do t[i] = ("x"):rep(2 ^ 18) .. i end
while true do table.sort(t, function(a, b) return a > b end) table.sort(t) end

--# FRB-LUA-002: a format of a thousand pieces of five hundred digits, many times
local args = table.create(2 ^ 17, 1e308)
return ("%99.99f"):rep(2 ^ 17):format(table.unpack(args))

--# FRB-LUA-002: a width beyond two digits
return ("%1000d"):format(1)

--# FRB-LUA-002: an address
return ("%p"):format({})

--# FRB-LUA-002: a format without arguments
return ("%d"):rep(2 ^ 16):format()

--# FRB-LUA-003: quote what has to be escaped
local s = ("\0"):rep(2 ^ 20)
while true do local _ = ("%q"):format(s) end

--# FRB-LUA-002: pack a padding of two thousand million bytes
return string.pack("c2147483647", "")

--# FRB-LUA-002: pack a hundred thousand paddings
return string.pack(("c99999"):rep(1000), table.unpack(table.create(1000, "")))

--# FRB-LUA-002: unpack a hundred thousand strings
return string.unpack(("z"):rep(1e5), ("\0"):rep(1e5))

--# FRB-LUA-002: the size of a hundred thousand things
return string.packsize(("i16"):rep(1e5))

--# FRB-LUA-003: characters one by one
while true do for _, c in utf8.codes(("é"):rep(1e5)) do end end

--# FRB-LUA-002: the length of too much
local s = ("é"):rep(2 ^ 22)
return utf8.len(s .. s .. s)

--# FRB-LUA-002: a text of broken UTF-8
for _ in utf8.codes(("\x80"):rep(2 ^ 20)) do end

--# FRB-LUA-003: fill and copy
local b = buffer.create(2 ^ 24)
while true do buffer.fill(b, 0, 1) buffer.copy(b, 0, b, 1, 2 ^ 23) end

--# FRB-LUA-003 FRB-LUA-004: text to buffer to text
local s = ("x"):rep(2 ^ 22)
while true do buffer.tostring(buffer.fromstring(s)) end

--# FRB-LUA-002: outside of a buffer
buffer.fill(buffer.create(8), 4, 0, 2 ^ 31 - 1)

--# FRB-LUA-002: outside of a buffer, by bits
buffer.readbits(buffer.create(8), 2 ^ 53, 32)

--# FRB-LUA-002: before a buffer
buffer.writestring(buffer.create(8), -1, "x")

--# FRB-LUA-002: copy with an overflow
buffer.copy(buffer.create(8), 2 ^ 31 - 1, buffer.create(8), 0, 8)

--# FRB-LUA-003: bits of a million
local t = table.create(2 ^ 19, 1)
while true do bit32.bxor(table.unpack(t)) end

--# FRB-LUA-003: the remainder of extremes
while true do math.fmod(1e308, 5e-324) end

--# FRB-LUA-003: noise
while true do math.noise(math.random(), math.random(), math.random()) end

--# FRB-LUA-003: a number of a million digits
local s = ("9"):rep(2 ^ 22)
while true do tonumber(s) tonumber(s, 36) end

--# FRB-LUA-003: texts joined to numbers
local s = ("1"):rep(300)
while true do local _ = s + s * s end

--# FRB-LUA-003: the length of what was emptied
local t = table.create(2 ^ 20, 1)
table.clear(t)
while true do local _ = #t, next(t) end

--# FRB-LUA-003: a long way to the next key
local t = {}
for i = 1, 2 ^ 17 do t["k" .. i] = i end
for i = 1, 2 ^ 17 do t["k" .. i] = nil end
while true do next(t) for _ in t do end end
