--@use memory clock statistics
-- Reads a queue's figures.
--
-- KEYS  config waiting sessions counters ring
-- ARGV  now_ms
-- reply exists (0, 1), now_ms, waiting, active sessions, [enqueued, admitted, expired, cancelled, waited ms,
--       peak] of this UTC day, list of 'second:admitted:ended'
-- cost  7 commands, O(log sessions)
local now = clock_ms(ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {0, now, 0, 0, {}, {}}
end
local waiting = redis.call('ZCARD', KEYS[2])
open_day(KEYS[4], now, waiting)
return {1, now, waiting, redis.call('ZCOUNT', KEYS[3], '(' .. whole(now), '+inf'),
  redis.call('HMGET', KEYS[4], 'enqueued', 'admitted', 'expired', 'cancelled', 'waited_ms', 'peak'),
  redis.call('HVALS', KEYS[5])}
