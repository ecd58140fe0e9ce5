--@use memory clock chunks arrivals extras departures sessions
-- Looks for one visitor: all that is known of its place and of the session that the place became. Changes and counts
-- nothing, so that an operator who looks neither keeps the place nor uses up the visitor's limits.
--
-- KEYS  config waiting seen sessions records tombstones extras
-- ARGV  now_ms, id (16 bytes)
-- reply outcome, now_ms, waiting, then for each outcome
--       0 no such queue    4 unknown
--       1 waiting: position, priority 0-3, enqueued ms, last heartbeat ms, metadata (JSON or '')
--       2 admitted: session start ms, its end ms, last activity ms, page views, addresses, metadata
--       3 gone: ended ms, reason
-- cost  at most 8 commands, O(log waiting)
local now, id = clock_ms(ARGV[1]), ARGV[2]
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {0, now, 0}
end
local waiting = redis.call('ZCARD', KEYS[2])
local score = tonumber(redis.call('ZSCORE', KEYS[2], id) or nil)
if score then
  local seen = tonumber(redis.call('ZSCORE', KEYS[3], id) or '0')
  return {1, now, waiting, redis.call('ZRANK', KEYS[2], id) + 1, 3 - math.floor(score / ARRIVAL_SPAN),
    math.floor(arrived_ms(score)), math.floor(math.max(seen, math.min(now, arrived_ms(score)))),
    metadata_of(redis.call('HGET', KEYS[7], id))}
end
local expires = tonumber(redis.call('ZSCORE', KEYS[4], id) or nil)
if expires and expires <= now then
  return {3, now, waiting, math.floor(expires), 4}
end
if expires then
  local record = redis.call('HGET', KEYS[5], id) or '0:0:0'
  local started, last, views, addresses = read_record(record)
  return {2, now, waiting, tonumber(started), math.floor(expires), tonumber(last), tonumber(views),
    math.floor(#addresses / 8), metadata_of(redis.call('HGET', KEYS[7], id))}
end
local ended, reason = tombstone(KEYS[6], id, now)
if ended then
  return {3, now, waiting, ended, reason}
end
return {4, now, waiting}
