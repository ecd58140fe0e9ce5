-- clock_ms(given): returns the time in milliseconds since 1970. Production passes 0, which means the store's own clock,
-- so that servers whose clocks differ still agree.
-- whole(number): spells a number without exponent and fraction. `tostring` of both Lua dialects loses digits of 2^48.
local function whole(number)
  return string.format('%.0f', number)
end

local function clock_ms(given)
  local now = tonumber(given)
  if now ~= 0 then
    return now
  end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
