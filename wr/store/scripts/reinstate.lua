--@use clock
-- Writes a queue's settings back into a store that has forgotten them, or remembers older ones of the same queue.
--
-- KEYS  config
-- ARGV  created_ms, version, then field, value, field, value, … of all settings
-- reply written (0, 1)
-- cost  2 commands
local kept = redis.call('HMGET', KEYS[1], 'created_ms', 'version')
if kept[2] and (kept[1] ~= ARGV[1] or tonumber(kept[2]) >= tonumber(ARGV[2])) then
  return 0
end
redis.call('HSET', KEYS[1], 'created_ms', ARGV[1], 'version', ARGV[2])
for index = 3, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1])
end
return 1
