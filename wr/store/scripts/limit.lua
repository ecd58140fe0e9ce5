--@use clock limits
-- Counts requests that reach no other script: those of operators, and those refused before their operation.
--
-- KEYS  even odd
-- ARGV  now_ms, window_ms, then one limit subject per item
-- reply now_ms, 0, then one per item: requests used in this window
-- cost  1 command an item
local now = clock_ms(ARGV[1])
local window = open_window(KEYS[1], KEYS[2], now, tonumber(ARGV[2]))
local reply = {now, 0}
for item = 3, #ARGV do
  reply[item] = redis.call('HINCRBY', window, ARGV[item], 1)
end
return reply
