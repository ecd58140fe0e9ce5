--@use clock chunks arrivals departures statistics history
-- One admission pass over one queue: drops the silent, ends sessions whose time is over, and lets people in
-- from the front, no faster than the rate and no more than the room holds. One step, so that any number of
-- replicas may run it at any moment: the tokens and the room are counted here and nowhere else.
--
-- KEYS  config waiting seen sessions records extras people tombstones counters bucket ring history_fine history_coarse
-- ARGV  now_ms, most (ids handled per kind in one call; what is left over is reported as more)
-- reply exists (0, 1), now_ms, config version, waiting, active, more (0, 1),
--       list of dropped ids, list of ended session ids, list of admitted ids,
--       list of 'second:admitted:ended' of the last two minutes, session end ms of those admitted,
--       list of how many ms each of those admitted had waited
-- cost  about 15 commands when idle; then O(log waiting) for each person dropped, ended or let in; 4 or 5 more
--       in the first pass of each 10 seconds, which notes the history.
--       Tokens refill with the time that passed, never beyond one second's worth (at least one person),
--       and what is left of a person is carried over.
local now = clock_ms(ARGV[1])
local most = tonumber(ARGV[2])
local config = redis.call('HMGET', KEYS[1], 'status', 'admission_rate', 'max_active_users',
  'session_timeout_seconds', 'heartbeat_timeout_seconds', 'version')
if not config[1] then
  return {0, now, 0, 0, 0, 0, {}, {}, {}, {}, 0, {}}
end
local rate = tonumber(config[2])
local expires = now + tonumber(config[4]) * 1000
local bucket = redis.call('HMGET', KEYS[10], 'tokens', 'at')
-- Before anything is done: what this pass does belongs to the step that begins with it.
note_steps(KEYS[12], KEYS[13], KEYS[9], KEYS[2], KEYS[4], tonumber(bucket[2] or nil), now)

local silent = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', whole(now - tonumber(config[5]) * 1000),
  'LIMIT', 0, most)
in_chunks(silent, function(...) redis.call('ZREM', KEYS[2], ...) end)
in_chunks(silent, function(...) redis.call('ZREM', KEYS[3], ...) end)
forget_person(KEYS[6], KEYS[7], silent)
bury(KEYS[8], now, 1, silent)

local over = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', whole(now), 'LIMIT', 0, most)
in_chunks(over, function(...) redis.call('ZREM', KEYS[4], ...) end)
in_chunks(over, function(...) redis.call('HDEL', KEYS[5], ...) end)
forget_person(KEYS[6], KEYS[7], over)
bury(KEYS[8], now, 4, over)

-- A full second's worth at the start: an idle queue lets its first visitors in at once.
local burst = math.max(rate, 1)
local tokens = burst
if bucket[1] then
  tokens = math.min(burst, tonumber(bucket[1]) + rate * math.max(0, now - tonumber(bucket[2])) / 1000)
end

local admitted = {}
local waits = {}
local waited = 0
local allowed = 0
if config[1] == 'active' then
  local space = tonumber(config[3]) - redis.call('ZCARD', KEYS[4])
  -- The small part of a token makes up for what adding fractions loses, so that 0.1 ten times is one person.
  allowed = math.max(0, math.min(math.floor(tokens + 0.000001), space))
  if allowed > 0 then
    local popped = redis.call('ZPOPMIN', KEYS[2], math.min(allowed, most))
    local sessions = {}
    local records = {}
    local record = whole(now) .. ':' .. whole(now) .. ':0'
    for index = 1, #popped, 2 do
      local id = popped[index]
      local at = #admitted + 1
      admitted[at] = id
      waits[at] = math.floor(math.max(0, now - arrived_ms(tonumber(popped[index + 1]))))
      waited = waited + waits[at]
      sessions[at * 2 - 1] = whole(expires)
      sessions[at * 2] = id
      records[at * 2 - 1] = id
      records[at * 2] = record
    end
    in_chunks(admitted, function(...) redis.call('ZREM', KEYS[3], ...) end)
    in_chunks(sessions, function(...) redis.call('ZADD', KEYS[4], ...) end)
    in_chunks(records, function(...) redis.call('HSET', KEYS[5], ...) end)
  end
end
redis.call('HSET', KEYS[10], 'tokens', string.format('%.6f', math.max(0, tokens - #admitted)), 'at', whole(now))

local waiting = redis.call('ZCARD', KEYS[2])
open_day(KEYS[9], now, waiting)
if #admitted > 0 then
  redis.call('HINCRBY', KEYS[9], 'admitted', #admitted)
  redis.call('HINCRBY', KEYS[9], 'waited_ms', whole(waited))
end
if #silent > 0 then
  redis.call('HINCRBY', KEYS[9], 'expired', #silent)
end
if #admitted > 0 or #over > 0 then
  note_second(KEYS[11], now, #admitted, #over)
end
redis.call('ZREMRANGEBYSCORE', KEYS[8], '-inf', whole((now - TOMBSTONE_MS) * 8 + 7))

local more = 0
if #silent == most or #over == most or (#admitted == most and allowed > most) then
  more = 1
end
return {1, now, tonumber(config[6]), waiting, redis.call('ZCARD', KEYS[4]), more, silent, over, admitted,
  redis.call('HVALS', KEYS[11]), expires, waits}
