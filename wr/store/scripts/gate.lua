--@use clock chunks departures
-- Tells how sessions stand for those at the gate, and counts what their holders did since the last call.
--
-- KEYS  config sessions records tombstones
-- ARGV  now_ms, then three per item: id (16 bytes), hits since the last call (0 = none), page views among them
-- reply now_ms, exists (0, 1), then three per item: outcome, a, b
--       2 active: a start ms, b end ms    3 gone: a ended ms, b reason    4 unknown    0 no such queue
-- cost  2 commands an item, 3 with hits, O(log sessions) each; 1 more for all together
local now = clock_ms(ARGV[1])
local exists = redis.call('EXISTS', KEYS[1])
local reply = {now, exists}

local function look(id, hits, more_views)
  local expires = tonumber(redis.call('ZSCORE', KEYS[2], id) or nil)
  if not expires then
    local ended, reason = tombstone(KEYS[4], id, now)
    if ended then
      return 3, ended, reason
    end
    return 4, 0, 0
  end
  if expires <= now then
    return 3, math.floor(expires), 4
  end
  local record = redis.call('HGET', KEYS[3], id) or ''
  local started, _, views = string.match(record, '^(%d+):(%d+):(%d+)$')
  if hits > 0 then
    redis.call('HSET', KEYS[3], id, started .. ':' .. whole(now) .. ':' .. whole(tonumber(views) + more_views))
  end
  return 2, tonumber(started), math.floor(expires)
end

for item = 2, #ARGV, 3 do
  local outcome, a, b = 0, 0, 0
  if exists == 1 then
    outcome, a, b = look(ARGV[item], tonumber(ARGV[item + 1]), tonumber(ARGV[item + 2]))
  end
  local at = #reply
  reply[at + 1] = outcome
  reply[at + 2] = a
  reply[at + 3] = b
end
return reply
