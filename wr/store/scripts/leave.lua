--@use memory clock chunks limits extras departures addresses statistics
-- Ends places and sessions before their time: a visitor leaves, or an operator terminates a session.
--
-- KEYS  config waiting seen sessions records extras people tombstones counters ring addresses limit_status
-- ARGV  now_ms, status limit (0 = none), its window_ms, then four per item: id (16 bytes),
--       what may be ended ('p' place or session, 's' session only), reason (2 cancelled, 5 terminated),
--       limit subject ('' = not counted)
-- reply now_ms, waiting, then four per item: outcome, a, b, requests used in this window
--       1 place ended now    2 session ended now    3 ended before    5 expired session removed now:
--       a ended ms, b reason each    4 unknown    6 limited    0 no such queue
-- cost  about 8 commands an item; O(log waiting) each
local now = clock_ms(ARGV[1])
local exists = redis.call('EXISTS', KEYS[1]) == 1
local limit = tonumber(ARGV[2])
local window
local cancelled = 0
local sessions_ended = 0

local function used_by(subject)
  if limit == 0 or subject == '' then
    return 0
  end
  window = window or open_window(KEYS[12], now, tonumber(ARGV[3]))
  return count_all(window, {subject})[1]
end

local function end_session(id)
  local expires = tonumber(redis.call('ZSCORE', KEYS[4], id) or nil)
  if not expires then
    return false
  end
  redis.call('ZREM', KEYS[4], id)
  redis.call('HDEL', KEYS[5], id)
  sessions_ended = sessions_ended + 1
  return expires
end

local function depart(id, what, reason)
  local outcome = 1
  if what == 'p' and redis.call('ZREM', KEYS[2], id) == 1 then
    redis.call('ZREM', KEYS[3], id)
    release_places(KEYS[11], KEYS[6], {id})
    cancelled = cancelled + 1
  else
    local expires = end_session(id)
    if not expires then
      local ended, why = tombstone(KEYS[8], id, now)
      if ended then
        return 3, ended, why
      end
      return 4, 0, 0
    end
    if expires <= now then
      forget_person(KEYS[6], KEYS[7], not_in_line(KEYS[2], {id}))
      bury(KEYS[8], expires, 4, {id})
      return 5, math.floor(expires), 4
    end
    outcome = 2
  end
  forget_person(KEYS[6], KEYS[7], not_in_line(KEYS[2], {id}))
  bury(KEYS[8], now, reason, {id})
  return outcome, now, reason
end

local reply = {now, 0}
for item = 4, #ARGV, 4 do
  local outcome, a, b, used = 0, 0, 0, 0
  if exists then
    used = used_by(ARGV[item + 3])
    if used > limit then
      outcome = 6
    else
      outcome, a, b = depart(ARGV[item], ARGV[item + 1], tonumber(ARGV[item + 2]))
    end
  end
  local at = #reply
  reply[at + 1] = outcome
  reply[at + 2] = a
  reply[at + 3] = b
  reply[at + 4] = used
end
local waiting = redis.call('ZCARD', KEYS[2])
if cancelled > 0 then
  open_day(KEYS[9], now, waiting)
  attempt('HINCRBY', KEYS[9], 'cancelled', cancelled)
end
if sessions_ended > 0 then
  note_second(KEYS[10], now, 0, sessions_ended)
end
reply[2] = waiting
return reply
