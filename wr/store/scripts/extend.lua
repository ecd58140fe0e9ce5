--@use memory clock
-- Lets a session end a given time from now: later than before, or earlier.
--
-- KEYS  config sessions
-- ARGV  now_ms, id (16 bytes), seconds from now
-- reply outcome (0 no such queue, 1 done, 4 no such session, or over), end ms
-- cost  3 commands, O(log sessions)
local now = clock_ms(ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {0, 0}
end
local expires = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[2]) or nil)
if not expires or expires <= now then
  return {4, 0}
end
local ends = now + tonumber(ARGV[3]) * 1000
if not attempt('ZADD', KEYS[2], 'XX', whole(ends), ARGV[2]) then
  redis.call('ZADD', KEYS[2], 'XX', whole(ends), ARGV[2])
end
return {1, ends}
