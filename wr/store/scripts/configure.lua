--@use memory clock
-- Writes a queue's settings: creates the queue, or replaces settings of the expected version. A full store takes a
-- replacement if its engine allows any write. If the heartbeat timeout becomes shorter, the script notes when
-- (`shortened_ms`), and the timeout that holds for visitors not heard from since (`timeout_before_ms`): see
-- silence.lua.
--
-- KEYS  config
-- ARGV  now_ms, expected version (0 = must not exist yet), then field, value, field, value, …
-- reply written (0, 1), now_ms, version after this call (0 = there is no such queue)
-- cost  4 commands and 1 for each field; 1 more to shorten the heartbeat timeout
local now = clock_ms(ARGV[1])
local expected = tonumber(ARGV[2])
local before = redis.call('HMGET', KEYS[1], 'version', 'heartbeat_timeout_seconds', 'timeout_before_ms', 'shortened_ms')
local version = tonumber(before[1] or '0')
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
  local earlier_ms = tonumber(before[2] or '0') * 1000
  if ARGV[index] == 'heartbeat_timeout_seconds' and tonumber(ARGV[index + 1]) * 1000 < earlier_ms then
    -- Shortened twice: some visitors may not have been heard from since the first time.
    if now - tonumber(before[3] or '0') < tonumber(before[4] or '0') then
      earlier_ms = math.max(earlier_ms, tonumber(before[3]))
    end
    redis.call('HSET', KEYS[1], 'timeout_before_ms', whole(earlier_ms), 'shortened_ms', whole(now))
  end
end
redis.call('HSET', KEYS[1], 'updated_ms', whole(now), 'version', whole(version + 1))
return {1, now, version + 1}
