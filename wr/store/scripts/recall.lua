--@use memory clock chunks extras departures addresses recovery
-- Tells a store that has forgotten which visitors a server saw let in, so that no visitor gets in twice.
--
-- KEYS  config waiting seen sessions records extras tombstones bucket addresses recalled
-- ARGV  now_ms, then three per visitor: id (16 bytes), session start ms, session end ms (in the past if it is over)
-- reply visitors that were in line although they had been let in, and have their session again now
-- cost  3 commands a visitor; O(log waiting)
--
-- The other visitors are noted in `recalled`, as long as places come back from tokens (see restore.lua).
local now = clock_ms(ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 or not may_restore(KEYS[8], now) then
  return 0
end
local moved = 0
for item = 2, #ARGV, 3 do
  local id, started, ends = ARGV[item], ARGV[item + 1], ARGV[item + 2]
  if not redis.call('ZSCORE', KEYS[4], id) and not tombstone(KEYS[7], id, now) then
    local did_wait = redis.call('ZREM', KEYS[2], id) == 1
    if did_wait then
      redis.call('ZREM', KEYS[3], id)
      release_places(KEYS[9], KEYS[6], {id})
    end
    if did_wait and tonumber(ends) > now then
      redis.call('ZADD', KEYS[4], ends, id)
      redis.call('HSET', KEYS[5], id, started .. ':' .. whole(now) .. ':0')
      moved = moved + 1
    else
      redis.call('HSET', KEYS[10], id, started .. ':' .. ends)
    end
  end
end
redis.call('PEXPIRE', KEYS[10], whole(RESTORE_MS))
return moved
