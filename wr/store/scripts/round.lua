--@use clock
-- Begins a round of admission passes: counts it, lists the queues, and tells whether the server knows of more rounds
-- than the store does. Then the store has forgotten.
--
-- KEYS  [rounds] [queues]
-- ARGV  now_ms, rounds that the server knows of (0 = none)
-- reply rounds, whether the store has forgotten (0, 1), when it last did (ms, 0 = never), list of queue ids
-- cost  3 commands, O(queues)
--
-- After that the count continues well above what any server knows, so that all servers together notice it once.
local ROUNDS_AHEAD = 1000
local now, known = clock_ms(ARGV[1]), tonumber(ARGV[2])
-- A full store may refuse to count. Then nothing is concluded from the count.
local count = redis.pcall('HINCRBY', KEYS[1], 'count', 1)
local forgot = 0
if type(count) ~= 'number' then
  count = math.max(known, tonumber(redis.call('HGET', KEYS[1], 'count') or '0'))
elseif count <= known then
  forgot = 1
  count = known + ROUNDS_AHEAD
  redis.call('HSET', KEYS[1], 'count', whole(count), 'forgot_ms', whole(now))
end
return {count, forgot, tonumber(redis.call('HGET', KEYS[1], 'forgot_ms') or '0'), redis.call('SMEMBERS', KEYS[2])}
