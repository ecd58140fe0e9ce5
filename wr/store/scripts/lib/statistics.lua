-- open_day(key, now, waiting): makes the day counters those of the current UTC day. A new day begins with 0, and its
-- peak with the present length of the line. The counts of the day before are added to `carried_x`, so that carried_x +
-- x is the count since the queue was created.
-- note_second(key, now, admitted, ended): adds to the ring of the last 128 seconds: field second % 128, value
-- 'second:admitted:ended'.
local RING_SECONDS = 128

local function open_day(key, now, waiting)
  local day = whole(math.floor(now / 86400000))
  if redis.call('HGET', key, 'day') ~= day then
    for _, name in ipairs({'enqueued', 'admitted', 'expired', 'cancelled', 'waited_ms'}) do
      local counts = redis.call('HMGET', key, name, 'carried_' .. name)
      attempt('HSET', key, 'carried_' .. name,
        whole(tonumber(counts[1] or '0') + tonumber(counts[2] or '0')))
    end
    attempt('HSET', key, 'day', day, 'enqueued', '0', 'admitted', '0', 'expired', '0', 'cancelled', '0',
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
  attempt('HSET', key, field, whole(second) .. ':' .. whole(admitted) .. ':' .. whole(ended))
end
