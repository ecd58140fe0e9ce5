--@use clock
-- Tells how many of those who wait have not been heard for a time: so many a shorter heartbeat timeout would cost, if
-- they stayed silent. Changes nothing.
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
