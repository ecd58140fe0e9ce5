--@use memory clock chunks limits
-- Counts requests that no other script counts: those of operators, and those refused before their operation.
--
-- KEYS  window
-- ARGV  now_ms, window_ms, then one limit subject per item
-- reply now_ms, 0, then one per item: requests used in this window
-- cost  6 commands at most, for any number of items
local now = clock_ms(ARGV[1])
local window = open_window(KEYS[1], now, tonumber(ARGV[2]))
local subjects = {}
for item = 3, #ARGV do
  subjects[item - 2] = ARGV[item]
end
local reply = {now, 0}
local used = count_all(window, subjects)
for index = 1, #used do
  reply[index + 2] = used[index]
end
return reply
