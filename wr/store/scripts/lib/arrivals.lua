-- The score of a place in `waiting` is (3 - priority) * 2^48 + its arrival number, so that its rank is its position:
-- priority 3 comes first, and within a priority the earlier arrival. The arrival number is the time of arrival in units
-- of 1/256 ms since 2024-01-01, or one more than the last number if that is not later. So numbers are unique, and in
-- order even if the clock goes back, and they tell how long a visitor has waited. They last until 2058.
local ARRIVAL_SPAN = 281474976710656
local ARRIVAL_EPOCH_MS = 1704067200000
local ARRIVALS_PER_MS = 256

local function arrived_ms(score)
  return math.floor((score % ARRIVAL_SPAN) / ARRIVALS_PER_MS) + ARRIVAL_EPOCH_MS
end
