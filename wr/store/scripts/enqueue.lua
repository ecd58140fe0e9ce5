--@use clock chunks limits arrivals departures statistics
-- Joins the line: for each item, the place the person has already, or a new one at the end of its priority.
--
-- KEYS  config waiting seen sessions records extras people counters enqueue_even enqueue_odd
-- ARGV  now_ms, limit (requests per window, 0 = none), window_ms, then six per item:
--       new id (16 bytes), known id (16 bytes, proved by a token, or ''), priority 0-3,
--       limit subject, person digest (16 bytes or ''), metadata (JSON or '')
-- reply now_ms, waiting, then five per item: outcome, id, a, b, requests used in this window
--       1 new: a position, b score    2 waiting already: a position, b score
--       3 admitted already: a session start ms, b session end ms
--       4 full    5 maintenance    6 limited    0 no such queue
-- cost  O(log waiting) an item, and for those who bring neither token nor user id about 10 commands in all;
--       one step, so a line never holds more than its maximum
local now = clock_ms(ARGV[1])
local limit = tonumber(ARGV[2])
local reply = {now, 0}
local config = redis.call('HMGET', KEYS[1], 'status', 'max_queue_size')
local exists = config[1] and true or false

local window, last_arrival, length
local joined = 0
local now_text = whole(now)
if exists then
  length = redis.call('ZCARD', KEYS[2])
  if limit > 0 then
    window = open_window(KEYS[9], KEYS[10], now, tonumber(ARGV[3]))
  end
  last_arrival = tonumber(redis.call('HGET', KEYS[8], 'arrival') or '0')
  last_arrival = math.max(last_arrival, (now - ARRIVAL_EPOCH_MS) * ARRIVALS_PER_MS - 1)
end
local maximum = tonumber(config[2] or '0')

-- Who joins is put in line together with the others of this call, and before anybody is looked for there.
local newcomers, present = {}, {}
local function seat_newcomers()
  in_chunks(newcomers, function(...) redis.call('ZADD', KEYS[2], ...) end)
  in_chunks(present, function(...) redis.call('ZADD', KEYS[3], ...) end)
  newcomers, present = {}, {}
end

local function place_of(id)
  seat_newcomers()
  local rank = redis.call('ZRANK', KEYS[2], id)
  if rank then
    -- Who asks to join again is there.
    redis.call('ZADD', KEYS[3], 'XX', whole(now), id)
    return 2, rank + 1, whole(tonumber(redis.call('ZSCORE', KEYS[2], id)))
  end
  local expires = tonumber(redis.call('ZSCORE', KEYS[4], id) or nil)
  if expires and expires > now then
    local started = string.match(redis.call('HGET', KEYS[5], id) or '', '^(%d+):')
    return 3, started or '0', whole(expires)
  end
  return nil
end

local function join(id, known, priority, person, metadata)
  if known ~= '' then
    local outcome, a, b = place_of(known)
    if outcome then
      return outcome, known, a, b
    end
  end
  if person ~= '' then
    local holder = redis.call('HGET', KEYS[7], person)
    if holder then
      local outcome, a, b = place_of(holder)
      if outcome then
        return outcome, holder, a, b
      end
    end
  end
  if config[1] == 'maintenance' then
    return 5, '', 0, 0
  end
  if maximum > 0 and length >= maximum then
    return 4, '', 0, 0
  end
  last_arrival = last_arrival + 1
  local score = whole((3 - priority) * ARRIVAL_SPAN + last_arrival)
  newcomers[#newcomers + 1] = score
  newcomers[#newcomers + 1] = id
  present[#present + 1] = now_text
  present[#present + 1] = id
  if person ~= '' then
    redis.call('HSET', KEYS[7], person, id)
  end
  if person ~= '' or metadata ~= '' then
    redis.call('HSET', KEYS[6], id, (person ~= '' and person or NOBODY) .. metadata)
  end
  length = length + 1
  joined = joined + 1
  -- Whoever arrives last at the lowest priority stands last: no need to ask.
  local position = length
  if priority > 0 then
    seat_newcomers()
    position = redis.call('ZRANK', KEYS[2], id) + 1
  end
  return 1, id, position, score
end

local used_by = {}
if window then
  local subjects = {}
  for item = 4, #ARGV, 6 do
    subjects[#subjects + 1] = ARGV[item + 3]
  end
  used_by = count_all(window, subjects)
end

for item = 4, #ARGV, 6 do
  local outcome, id, a, b = 0, '', 0, 0
  local used = used_by[(item + 2) / 6] or 0
  if exists then
    if window and used > limit then
      outcome = 6
    else
      outcome, id, a, b = join(ARGV[item], ARGV[item + 1], tonumber(ARGV[item + 2]), ARGV[item + 4],
        ARGV[item + 5])
    end
  end
  local at = #reply
  reply[at + 1] = outcome
  reply[at + 2] = id
  reply[at + 3] = a
  reply[at + 4] = b
  reply[at + 5] = used
end
seat_newcomers()

if joined > 0 then
  open_day(KEYS[8], now, length)
  redis.call('HINCRBY', KEYS[8], 'enqueued', joined)
  redis.call('HSET', KEYS[8], 'arrival', whole(last_arrival))
  if length > tonumber(redis.call('HGET', KEYS[8], 'peak')) then
    redis.call('HSET', KEYS[8], 'peak', whole(length))
  end
end
reply[2] = length or 0
return reply
