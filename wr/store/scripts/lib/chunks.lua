-- in_chunks(values, call): calls with at most 1,000 values at a time. Both Lua dialects fail to unpack several
-- thousand.
local unpack_values = table.unpack or unpack

local function in_chunks(values, call)
  local first = 1
  while first <= #values do
    local last = math.min(first + 999, #values)
    call(unpack_values(values, first, last))
    first = last + 1
  end
end
