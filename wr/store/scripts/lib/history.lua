-- note_steps(fine, coarse, counters, waiting, sessions, last, now): notes how a queue stands at the beginning of each
-- step of 10 s and of 5 min, in rings of 96 and 300 notes: field step % ring, value
-- 'ms:waiting:active:joined:admitted:expired:cancelled:waited ms', the last five counted since the queue was created.
-- `last` is the time of the pass before (nil = none). Only the first pass of a step notes it, on any server. Returns
-- whether this pass did. The difference between two notes is what happened in the step between them.
local FINE_MS, FINE_RING = 10000, 96
local COARSE_MS, COARSE_RING = 300000, 300

local function note_steps(fine, coarse, counters, waiting, sessions, last, now)
  local step = math.floor(now / FINE_MS)
  -- If the clock went back, nothing is noted until it is past the last note.
  if last and step <= math.floor(last / FINE_MS) then
    return false
  end
  local counts = redis.call('HMGET', counters, 'enqueued', 'admitted', 'expired', 'cancelled', 'waited_ms',
    'carried_enqueued', 'carried_admitted', 'carried_expired', 'carried_cancelled', 'carried_waited_ms')
  local noted = {whole(now), whole(redis.call('ZCARD', waiting)),
    whole(redis.call('ZCOUNT', sessions, '(' .. whole(now), '+inf'))}
  for index = 1, 5 do
    noted[index + 3] = whole(tonumber(counts[index] or '0') + tonumber(counts[index + 5] or '0'))
  end
  local note = table.concat(noted, ':')
  attempt('HSET', fine, whole(step % FINE_RING), note)
  local coarse_step = math.floor(now / COARSE_MS)
  if not last or coarse_step > math.floor(last / COARSE_MS) then
    attempt('HSET', coarse, whole(coarse_step % COARSE_RING), note)
  end
  return true
end
