-- open_day(key, now, waiting): makes the day counters those of the current UTC day; a new day starts at 0,
-- its peak at the line's present length.
-- note_second(key, now, admitted, ended): adds to the ring of the last 128 seconds: field second % 128,
-- value 'second:admitted:ended'.
local RING_SECONDS = 128

local function open_day(key, now, waiting)
  local day = whole(math.floor(now / 86400000))
  if redis.call('HGET', key, 'day') ~= day then
    redis.call('HSET', key, 'day', day, 'enqueued', '0', 'admitted', '0', 'expired', '0', 'cancelled', '0',
      'waited_ms', '0', 'peak', whole(waiting))
  end
end

local function note_second(key, now, admitted, ended)
  local second = math.floor(now / 1000)
  local field = whole(second % RING_SECONDS)
  local before = redis.call('HGET', key, field)
  if before then
    local at, a, e = string.match(before, '^(%d+):(%d+):(%d+)$')
    if tonumber(at) == second then
      admitted = admitted + tonumber(a)
      ended = ended + tonumber(e)
    end
  end
  redis.call('HSET', key, field, whole(second) .. ':' .. whole(admitted) .. ':' .. whole(ended))
end
