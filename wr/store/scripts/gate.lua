--@use memory clock chunks extras departures sessions
-- Tells the gate how sessions stand, counts what their holders did since the last call, and notes from where they were
-- used. One step, so that a session's binding holds across all servers.
--
-- KEYS  config sessions records tombstones
-- ARGV  now_ms, then four per item: id (16 bytes), hits since the last call (0 = none), page views among them,
--       callers (17 characters each: 8 for the address, 9 for the mark: its kind, n or b, and 8 more; 9 dots = none)
-- reply now_ms, exists (0, 1), then five per item: outcome, a, b, refused marks (9 characters each), shared (1 = this
--       call was the first that saw the session used from more than 5 addresses)
--       2 active: a start ms, b end ms    3 gone: a ended ms, b reason    4 unknown    0 no such queue
-- cost  2 commands an item, 3 with hits, O(log sessions) each; 1 more for all together
--
-- The store keeps at most 32 addresses of each session, and the marks of the last hour, as many as the queue's binding
-- allows: at most 350 bytes. A further mark is refused, and requests of its callers are not counted.
local MOST_ADDRESSES = 32
local SHARED_ABOVE = 5
local MARK_LASTS_S = 3600
-- A phone has a mobile network and one at home or at work, each perhaps with IPv4 and IPv6. A browser may update
-- itself, or play videos with a component of another name.
local MOST_MARKS = {n = 4, b = 2}
local KIND_OF = {network = 'n', browser = 'b'}

local now = clock_ms(ARGV[1])
local now_s = math.floor(now / 1000)
local config = redis.call('HMGET', KEYS[1], 'version', 'session_binding')
local exists = config[1] and 1 or 0
local kind = KIND_OF[config[2] or 'none']
local reply = {now, exists}

-- Returns the marks of the present kind that have not expired, and the second of each one's last use.
local function fresh_marks(marks)
  local found, used = {}, {}
  for at = 1, #marks, 19 do
    local mark, at_s = string.sub(marks, at, at + 8), tonumber(string.sub(marks, at + 9, at + 18))
    if string.sub(mark, 1, 1) == kind and now_s - at_s < MARK_LASTS_S then
      found[#found + 1] = mark
      used[mark] = at_s
    end
  end
  return found, used
end

local function spell_marks(found, used)
  local spelled = {}
  for index = 1, #found do
    spelled[index] = found[index] .. string.format('%010.0f', used[found[index]])
  end
  return table.concat(spelled)
end

-- Notes from where a session is used. Returns the addresses and marks to keep, the marks that are refused, whether any
-- caller may use the session, and whether this call was the first that saw it shared.
local function take_callers(callers, addresses, marks)
  local refused, is_allowed, shared = '', callers == '', 0
  local before = #addresses / 8
  local found, used = {}, {}
  if kind then
    found, used = fresh_marks(marks)
  end
  for at = 1, #callers, 17 do
    local address, mark = string.sub(callers, at, at + 7), string.sub(callers, at + 8, at + 16)
    local is_known = false
    for index = 1, #addresses, 8 do
      is_known = is_known or string.sub(addresses, index, index + 7) == address
    end
    if not is_known and #addresses < MOST_ADDRESSES * 8 then
      addresses = addresses .. address
    end
    -- A server that does not know a changed setting yet sends marks of another kind. They bind nothing.
    if string.sub(mark, 1, 1) ~= kind then
      is_allowed = true
    elseif used[mark] or #found < MOST_MARKS[kind] then
      if not used[mark] then
        found[#found + 1] = mark
      end
      used[mark] = now_s
      is_allowed = true
    else
      refused = refused .. mark
    end
  end
  if before <= SHARED_ABOVE and #addresses / 8 > SHARED_ABOVE then
    shared = 1
  end
  return addresses, spell_marks(found, used), refused, is_allowed, shared
end

local function look(id, hits, more_views, callers)
  local expires = tonumber(redis.call('ZSCORE', KEYS[2], id) or nil)
  if not expires then
    local ended, reason = tombstone(KEYS[4], id, now)
    if ended then
      return 3, ended, reason, '', 0
    end
    return 4, 0, 0, '', 0
  end
  if expires <= now then
    return 3, math.floor(expires), 4, '', 0
  end
  local record = redis.call('HGET', KEYS[3], id) or ''
  local started, last, views, addresses, marks = read_record(record)
  local refused, is_allowed, shared
  addresses, marks, refused, is_allowed, shared = take_callers(callers, addresses, marks)
  if hits > 0 and is_allowed then
    last = whole(now)
    views = whole(tonumber(views) + more_views)
  end
  local changed = spell_record(started, last, views, addresses, marks)
  if changed ~= record then
    -- On a full store this is not written, and the holder gets in all the same.
    attempt('HSET', KEYS[3], id, changed)
  end
  return 2, tonumber(started), math.floor(expires), refused, shared
end

for item = 2, #ARGV, 4 do
  local outcome, a, b, refused, shared = 0, 0, 0, '', 0
  if exists == 1 then
    outcome, a, b, refused, shared =
      look(ARGV[item], tonumber(ARGV[item + 1]), tonumber(ARGV[item + 2]), ARGV[item + 3])
  end
  local at = #reply
  reply[at + 1] = outcome
  reply[at + 2] = a
  reply[at + 3] = b
  reply[at + 4] = refused
  reply[at + 5] = shared
end
return reply
