--@use memory clock chunks limits extras departures sessions
-- Tells how sessions stand, and counts the activity that is reported.
--
-- KEYS  config sessions records tombstones limit_status limit_activity
-- ARGV  now_ms, status limit (0 = none), its window_ms, activity limit (0 = none), its window_ms,
--       then three per item: id (16 bytes), kind ('s' status, 'a' activity, 'v' activity that is a page view),
--       limit subject
-- reply now_ms, 0, then six per item: outcome, a, b, last activity ms, page views, requests used
--       2 active: a start ms, b end ms    3 gone: a ended ms, b reason    4 unknown    6 limited
--       0 no such queue
-- cost  status 2 commands an item, activity 3, O(log sessions) each; 6 more for all items together
local now = clock_ms(ARGV[1])
local exists = redis.call('EXISTS', KEYS[1]) == 1
local scope_of = {s = 'status', a = 'activity', v = 'activity'}
local limit_of = {s = tonumber(ARGV[2]), a = tonumber(ARGV[4]), v = tonumber(ARGV[4])}

local function look(id, kind)
  local expires = tonumber(redis.call('ZSCORE', KEYS[2], id) or nil)
  if not expires then
    local ended, reason = tombstone(KEYS[4], id, now)
    if ended then
      return 3, ended, reason, 0, 0
    end
    return 4, 0, 0, 0, 0
  end
  if expires <= now then
    return 3, math.floor(expires), 4, 0, 0
  end
  local record = redis.call('HGET', KEYS[3], id) or ''
  local started, last, views, addresses, marks = read_record(record)
  if kind ~= 's' then
    last = whole(now)
    views = whole(tonumber(views) + (kind == 'v' and 1 or 0))
    attempt('HSET', KEYS[3], id, spell_record(started, last, views, addresses, marks))
  end
  return 2, tonumber(started), math.floor(expires), tonumber(last), tonumber(views)
end

local used_by = {}
if exists then
  used_by = used_by_items(6, scope_of, {
    status = {tonumber(ARGV[2]), tonumber(ARGV[3]), KEYS[5]},
    activity = {tonumber(ARGV[4]), tonumber(ARGV[5]), KEYS[6]},
  }, now)
end
local reply = {now, 0}
for item = 6, #ARGV, 3 do
  local outcome, a, b, last, views = 0, 0, 0, 0, 0
  local used = used_by[item] or 0
  if exists then
    local kind = ARGV[item + 1]
    if used > limit_of[kind] then
      outcome = 6
    else
      outcome, a, b, last, views = look(ARGV[item], kind)
    end
  end
  local at = #reply
  reply[at + 1] = outcome
  reply[at + 2] = a
  reply[at + 3] = b
  reply[at + 4] = last
  reply[at + 5] = views
  reply[at + 6] = used
end
return reply
