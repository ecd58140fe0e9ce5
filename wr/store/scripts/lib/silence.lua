-- gap_since(at, now, least_ms): returns for how long no visitor could be heard, because no pass ran since `at` (nil =
-- not known): the store or all servers were away, or the clock jumped. Negative if the clock went back; nil if the time
-- is shorter than `least_ms`.
-- silent_ids(seen, now, heard_ms, gap_ms, least_ms, most, timeout_ms, before_ms, shortened_ms): returns visitors that
-- were silent for longer than allowed, at most `most`. After a gap, which ended at `heard_ms`, every visitor has a
-- whole timeout to be heard again. After the timeout was shortened, at `shortened_ms` (0 = never), the earlier
-- `before_ms` holds for visitors not heard from since. One command; up to 3 for a while after a shorter timeout, a gap,
-- or a clock that went back.
-- move_ends(sessions, after_ms, later_ms): moves the end of each session that ends after `after_ms`, as far as there is
-- memory for it; 1 command for each 500 of them, and 1 more.
local function gap_since(at, now, least_ms)
  if at and (now - at > least_ms or at - now > least_ms) then
    return now - at
  end
  return nil
end

local function silent_ids(seen, now, heard_ms, gap_ms, least_ms, most, timeout_ms, before_ms, shortened_ms)
  local found = {}
  local function take(from, to)
    if #found < most then
      local ids = redis.call('ZRANGEBYSCORE', seen, from, to, 'LIMIT', 0, most - #found)
      for index = 1, #ids do
        found[#found + 1] = ids[index]
      end
    end
  end
  local since = '-inf'
  before_ms = math.max(before_ms, timeout_ms)
  if shortened_ms > 0 and now < math.max(shortened_ms, heard_ms) + before_ms then
    if now >= heard_ms + before_ms then
      take('-inf', whole(math.min(shortened_ms, now - before_ms)))
    end
    since = '(' .. whole(shortened_ms)
  end
  if now >= heard_ms + timeout_ms and (since == '-inf' or now - timeout_ms > shortened_ms) then
    take(since, whole(now - timeout_ms))
    -- The clock went back: a last heartbeat in the future was sent before that. Small differences do not count.
    if gap_ms < 0 and now < heard_ms - gap_ms then
      take('(' .. whole(now + least_ms), '+inf')
    end
  end
  return found
end

local function move_ends(sessions, after_ms, later_ms)
  local found = redis.call('ZRANGEBYSCORE', sessions, '(' .. whole(after_ms), '+inf', 'WITHSCORES')
  local moved = {}
  for index = 1, #found, 2 do
    moved[index] = whole(tonumber(found[index + 1]) + later_ms)
    moved[index + 1] = found[index]
  end
  in_chunks(moved, function(...) attempt('ZADD', sessions, 'XX', ...) end)
end
