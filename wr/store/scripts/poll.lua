--@use memory clock chunks limits arrivals extras departures
-- Tells where visitors stand, and keeps the places of those that send a heartbeat.
--
-- KEYS  config waiting seen sessions records tombstones limit_status limit_heartbeat
-- ARGV  now_ms, status limit (0 = none), its window_ms, heartbeat limit (0 = none), its window_ms,
--       then three per item: id (16 bytes), kind, limit subject
--       kinds: 's' asks, 't' asks and keeps the place (both counted as status calls),
--              'h' keeps the place (counted as a heartbeat), 'l' asks, 'k' keeps the place (not counted)
-- reply now_ms, waiting, then four per item: outcome, a, b, requests used in this window
--       1 waiting: a position    2 admitted: a session start ms, b session end ms
--       3 gone: a ended ms, b reason    4 unknown    6 limited    0 no such queue
-- cost  1 command an item, O(log waiting), for visitors in line, and about 8 for all items together; 1 or 2 more
--       for all status calls together
local now = clock_ms(ARGV[1])
local timeout_s = redis.call('HGET', KEYS[1], 'heartbeat_timeout_seconds')
local exists = timeout_s or redis.call('EXISTS', KEYS[1]) == 1
local call = redis.call
local waiting, seen = KEYS[2], KEYS[3]
local scope_of = {s = 'status', t = 'status', h = 'heartbeat'}
local keeps = {s = false, t = true, h = true, l = false, k = true}
local status_limit, heartbeat_limit = tonumber(ARGV[2]), tonumber(ARGV[4])
local limit_of = {s = status_limit, t = status_limit, h = heartbeat_limit, l = 0, k = 0}
local kept, asking, first_uses = {}, {}, {}
-- Places taken before this time do not count as unused any more (see enqueue.lua).
local unused_since = now - tonumber(timeout_s or '0') * 1000

local function look_inside(id)
  local expires = tonumber(call('ZSCORE', KEYS[4], id) or nil)
  if expires then
    if expires > now then
      local started = string.match(call('HGET', KEYS[5], id) or '', '^(%d+):')
      return 2, tonumber(started or '0'), math.floor(expires)
    end
    return 3, math.floor(expires), 4
  end
  local ended, reason = tombstone(KEYS[6], id, now)
  if ended then
    return 3, ended, reason
  end
  return 4, 0, 0
end

local used_by = {}
if exists then
  used_by = used_by_items(6, scope_of, {
    status = {status_limit, tonumber(ARGV[3]), KEYS[7]},
    heartbeat = {heartbeat_limit, tonumber(ARGV[5]), KEYS[8]},
  }, now)
end
local now_text = whole(now)
local reply = {now, call('ZCARD', waiting)}
local at = 2
for item = 6, #ARGV, 3 do
  local outcome, a, b = 0, 0, 0
  local used = used_by[item] or 0
  if exists then
    local id, kind = ARGV[item], ARGV[item + 1]
    if used > limit_of[kind] then
      outcome = 6
    else
      local rank = call('ZRANK', waiting, id)
      if rank then
        outcome, a = 1, rank + 1
        if keeps[kind] then
          kept[#kept + 1] = now_text
          kept[#kept + 1] = id
        elseif kind == 's' then
          asking[#asking + 1] = id
        end
      else
        outcome, a, b = look_inside(id)
      end
    end
  end
  reply[at + 1] = outcome
  reply[at + 2] = a
  reply[at + 3] = b
  reply[at + 4] = used
  at = at + 4
end
in_chunks(kept, function(...)
  -- A heartbeat that cannot be written is answered with an error, because its sender must know.
  if not attempt('ZADD', seen, 'XX', ...) then
    call('ZADD', seen, 'XX', ...)
  end
end)
-- A status call does not keep the place, but it is a use of the token: from now on the place counts as last heard from
-- at the time of the join.
local at_asking = 0
in_chunks(asking, function(...)
  local scores = call('ZMSCORE', waiting, ...)
  for index = 1, #scores do
    local arrived = arrived_ms(tonumber(scores[index]))
    if arrived > unused_since then
      first_uses[#first_uses + 1] = whole(math.min(now, arrived))
      first_uses[#first_uses + 1] = asking[at_asking + index]
    end
  end
  at_asking = at_asking + #scores
end)
in_chunks(first_uses, function(...) attempt('ZADD', seen, 'XX', 'GT', ...) end)
return reply
