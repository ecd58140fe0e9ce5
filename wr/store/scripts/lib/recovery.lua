-- Notices that the store came back without what it had acknowledged. Passes are counted: if a server knows of more
-- passes than the store does, the store has forgotten.
-- note_forgetting(bucket, passes, known, now, interval_s, longest_ms, waiting): returns whether the store has forgotten
-- passes that a server knows of. If so, it notes in the bucket when, how many waited, and until when no visitor is let
-- in. After that the count continues well above what any server knows, so that this happens once.
-- RESTORE_MS: how long after that places and sessions come back from their tokens. Places that ended since then are
-- noted for longer (see departures.lua), so a place that is not known was forgotten.
-- LEAST_HOLD_MS: the shortest time without admissions, so that every server has told which visitors it saw let in.
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
