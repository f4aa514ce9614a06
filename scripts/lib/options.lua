-- Checks the option tables of library functions, as the verbs check theirs.

local options = {}

-- How many letters have to be typed, left out or exchanged to make one word of the other.
local function distance(a, b)
  local row = {}
  for j = 0, #b do
    row[j] = j
  end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local above = row[j]
      local exchanged = diagonal + (if string.sub(a, i, i) == string.sub(b, j, j) then 0 else 1)
      row[j] = math.min(exchanged, above + 1, row[j - 1] + 1)
      diagonal = above
    end
  end
  return row[#b]
end

-- What may have been meant by `word`, for a message: one of `known`, a list, or all of them.
function options.hint(word, known)
  local best, nearest = 1 + #word // 3, nil
  if #word <= 64 then
    for _, candidate in known do
      local away = distance(word, candidate)
      if away <= best then
        best, nearest = away - 1, candidate
      end
    end
  end
  return if nearest then `did you mean {nearest}?` else `there is {table.concat(known, ", ")}`
end

-- Holds `given`, or nothing, against `types`, which has the type of each option there is, and returns it.
-- An error names `who` and is raised `level` functions above: 2 is the caller's caller.
function options.check(who, given, types, level)
  local known = {}
  for name in pairs(types) do
    table.insert(known, name)
  end
  table.sort(known)
  given = if given == nil then {} else given
  if type(given) ~= "table" then
    error(`{who}: a table of options was expected, got {type(given)}`, level + 1)
  end
  for name, value in pairs(given) do
    if types[name] == nil then
      error(`{who}: unknown option {name}; {options.hint(tostring(name), known)}`, level + 1)
    end
    if type(value) ~= types[name] then
      error(`{who}: {name} is a {types[name]}, got {type(value)}`, level + 1)
    end
  end
  return given
end

return options
