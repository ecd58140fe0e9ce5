-- When a store comes back without what it once acknowledged, servers notice, because passes are counted: a server that
-- knows of more passes than the store has forgotten nothing, so the store has.
-- note_forgetting(bucket, passes, known, now, interval_s, longest_ms, waiting): whether the store has forgotten passes that a server
-- knows of; then notes in the bucket that it did, how many waited, and until when nobody is let in. The count goes on
-- well above what any server knows, so that it is noticed once.
-- RESTORE_MS: for so long after the store forgot, places and sessions come back from their tokens. Whatever ended since
-- then is remembered for longer than that (see departures.lua), so what is not known was forgotten.
-- LEAST_HOLD_MS: no shorter, so that every server has told whom it saw let in (see recall.lua).
local LEAST_HOLD_MS = 3000
local RESTORE_MS = 3540000
local PASSES_AHEAD = 1000

local function note_forgetting(bucket, passes, known, now, interval_s, longest_ms, waiting)
  if known <= passes then
    return false
  end
  local hold_ms = math.min(math.max(interval_s * 1000, LEAST_HOLD_MS), longest_ms)
  redis.call('HSET', bucket, 'passes', whole(known + PASSES_AHEAD), 'forgot_ms', whole(now),
    'recovering_ms', whole(now + hold_ms), 'acknowledged', whole(waiting), 'restored', '0')
  return true
end

local function may_restore(bucket, now)
  local forgot = tonumber(redis.call('HGET', bucket, 'forgot_ms') or '0')
  return forgot > 0 and now < forgot + RESTORE_MS, forgot
end
