--@use clock
-- Counts visitors in line that have not been heard from for a time. As many would lose their places under a shorter
-- heartbeat timeout, if they stay silent. Changes nothing.
--
-- KEYS  config waiting seen
-- ARGV  now_ms, silence_ms
-- reply exists (0, 1), waiting, silent
-- cost  4 commands, O(log waiting)
local now = clock_ms(ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {0, 0, 0}
end
return {1, redis.call('ZCARD', KEYS[2]),
  redis.call('ZCOUNT', KEYS[3], '-inf', whole(now - tonumber(ARGV[2])))}
