--@use memory clock chunks extras departures addresses statistics
-- Sends visitors at the front of the line away. The server calls it until as many are gone as waited at first. It also
-- works on a full store.
--
-- KEYS  config waiting seen extras people tombstones counters addresses
-- ARGV  now_ms, most (visitors per call), whether to list their ids (0, 1)
-- reply exists (0, 1), visitors sent away, visitors still waiting, now_ms, list of the ids sent away if asked for
-- cost  O(log waiting) for each visitor
local now = clock_ms(ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {0, 0, 0, now, {}}
end
local popped = redis.call('ZPOPMIN', KEYS[2], tonumber(ARGV[2]))
local ids = {}
for index = 1, #popped, 2 do
  ids[#ids + 1] = popped[index]
end
in_chunks(ids, function(...) redis.call('ZREM', KEYS[3], ...) end)
release_places(KEYS[8], KEYS[4], ids)
forget_person(KEYS[4], KEYS[5], ids)
bury(KEYS[6], now, 3, ids)
local waiting = redis.call('ZCARD', KEYS[2])
if #ids > 0 then
  open_day(KEYS[7], now, waiting)
  attempt('HINCRBY', KEYS[7], 'cancelled', #ids)
end
return {1, #ids, waiting, now, ARGV[3] == '1' and ids or {}}
