--@use clock limits departures
-- Tells where people stand; for those who send a heartbeat, also keeps their place.
--
-- KEYS  config waiting seen sessions records tombstones status_even status_odd heartbeat_even heartbeat_odd
-- ARGV  now_ms, status limit (0 = none), its window_ms, heartbeat limit (0 = none), its window_ms,
--       then three per item: id (16 bytes), kind, limit subject
--       kinds: 's' asks, 't' asks and keeps the place (both counted as status calls),
--              'h' keeps the place (counted as a heartbeat), 'l' asks, 'k' keeps the place (not counted)
-- reply now_ms, waiting, then four per item: outcome, a, b, requests used in this window
--       1 waiting: a position    2 admitted: a session start ms, b session end ms
--       3 gone: a ended ms, b reason    4 unknown    6 limited    0 no such queue
-- cost  2 commands an item, 1 more if the place is kept, 1 less if not counted; O(log waiting) each
local now = clock_ms(ARGV[1])
local exists = redis.call('EXISTS', KEYS[1]) == 1
local limits = {status = tonumber(ARGV[2]), heartbeat = tonumber(ARGV[4]), none = 0}
local scopes = {s = 'status', t = 'status', h = 'heartbeat', l = 'none', k = 'none'}
local keeps = {s = false, t = true, h = true, l = false, k = true}
local windows = {}

local function used_by(scope, subject)
  if limits[scope] == 0 then
    return 0
  end
  if not windows[scope] then
    if scope == 'status' then
      windows[scope] = open_window(KEYS[7], KEYS[8], now, tonumber(ARGV[3]))
    else
      windows[scope] = open_window(KEYS[9], KEYS[10], now, tonumber(ARGV[5]))
    end
  end
  return redis.call('HINCRBY', windows[scope], subject, 1)
end

local function look(id, kind)
  local rank = redis.call('ZRANK', KEYS[2], id)
  if rank then
    if keeps[kind] then
      redis.call('ZADD', KEYS[3], 'XX', whole(now), id)
    end
    return 1, rank + 1, 0
  end
  local expires = tonumber(redis.call('ZSCORE', KEYS[4], id) or nil)
  if expires then
    if expires > now then
      local started = string.match(redis.call('HGET', KEYS[5], id) or '', '^(%d+):')
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

local reply = {now, redis.call('ZCARD', KEYS[2])}
for item = 6, #ARGV, 3 do
  local outcome, a, b, used = 0, 0, 0, 0
  if exists then
    local kind = ARGV[item + 1]
    local scope = scopes[kind]
    used = used_by(scope, ARGV[item + 2])
    if used > limits[scope] then
      outcome = 6
    else
      outcome, a, b = look(ARGV[item], kind)
    end
  end
  local at = #reply
  reply[at + 1] = outcome
  reply[at + 2] = a
  reply[at + 3] = b
  reply[at + 4] = used
end
return reply
