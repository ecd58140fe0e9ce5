-- clock_ms(given): the time in milliseconds since 1970. `given` of 0 means the store's own clock, which is
-- what production passes, so that replicas whose clocks differ still agree.
-- whole(number): spelled without exponent or fraction; neither dialect's tostring can be trusted with 2^48.
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
