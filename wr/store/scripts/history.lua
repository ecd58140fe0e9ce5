--@use clock
-- Reads the notes in one ring of a queue's history.
--
-- KEYS  config history_coarse
--       (or history_fine, which has the same form)
-- ARGV  now_ms
-- reply exists (0, 1), now_ms, list of 'ms:waiting:active:joined:admitted:expired:cancelled:waited ms' in no order
-- cost  2 commands; at most 300 notes
local now = clock_ms(ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {0, now, {}}
end
return {1, now, redis.call('HVALS', KEYS[2])}
