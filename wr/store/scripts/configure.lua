--@use memory clock
-- Writes a queue's settings: creates the queue, or replaces settings that nobody else has changed since, which a store
-- without memory takes where its engine allows any write.
--
-- KEYS  config
-- ARGV  now_ms, expected version (0 = must not exist yet), then field, value, field, value, …
-- reply written (0, 1), now_ms, version after this call (0 = there is no such queue)
-- cost  a command for each setting and 4 more
local now = clock_ms(ARGV[1])
local expected = tonumber(ARGV[2])
local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
if version ~= expected then
  return {0, now, version}
end
if expected == 0 then
  redis.call('HSET', KEYS[1], 'created_ms', whole(now))
else
  attempt('HSET', KEYS[1], 'version', whole(version))
end
for index = 3, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1])
end
redis.call('HSET', KEYS[1], 'updated_ms', whole(now), 'version', whole(version + 1))
return {1, now, version + 1}
