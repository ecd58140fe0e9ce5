--@use memory clock
-- Revokes a pass, so that it gives no more places. A full store takes it if its engine allows any write.
--
-- KEYS  config passes pass_ends revoked
-- ARGV  digest of the pass's id (16 bytes), until when to remember that (ms), now_ms
-- reply exists (0, 1), places that it has given, id of the last of them ('' = none)
-- cost  6 commands
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {0, 0, ''}
end
local known = redis.call('HGET', KEYS[2], ARGV[1]) or ''
local used, id = string.match(known, '^R?(%d+):(.*)$')
attempt('HSET', KEYS[2], ARGV[1], 'R' .. (used or '0') .. ':' .. (id or ''))
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
-- Revoked passes are listed apart, so that servers can keep them in case the store forgets.
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', whole(clock_ms(ARGV[3])))
redis.call('ZADD', KEYS[4], ARGV[2], ARGV[1])
return {1, tonumber(used or '0'), id or ''}
