-- A waiting member's score = (3 - priority) * 2^48 + its arrival number, so that rank is place in line:
-- priority 3 first, then first come, first served. The arrival number is the time of arrival in units of
-- 1/256 ms since 2024-01-01, or one more than the last if that is not later: unique, in order even when the
-- clock steps back, and it tells how long somebody waited without storing it. Lasts until 2058.
local ARRIVAL_SPAN = 281474976710656
local ARRIVAL_EPOCH_MS = 1704067200000
local ARRIVALS_PER_MS = 256

local function arrived_ms(score)
  return math.floor((score % ARRIVAL_SPAN) / ARRIVALS_PER_MS) + ARRIVAL_EPOCH_MS
end
