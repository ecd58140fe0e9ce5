--@use memory clock chunks arrivals extras departures addresses statistics history shares silence recovery
-- Runs one admission pass over one queue: drops silent visitors, ends expired sessions, and lets visitors in from the
-- front, no faster than the rate and no more than the site has room for. One step, so that any number of servers may
-- run it at any time: the tokens and the room are counted only here. The steps that free memory come first, and are
-- done and reported even if the rest fails. A visitor leaves the line only once its session exists, and is let in only
-- if the bucket could be written. So a full store recovers by itself.
--
-- KEYS  config waiting seen sessions records extras people tombstones counters bucket ring history_fine history_coarse
--       addresses passes pass_ends blocks block_notes
-- ARGV  now_ms, most (visitors of each kind that one call handles; the reply says if there were more),
--       least gap_ms (in a longer time without a pass no visitor could be heard),
--       what the server knows of this queue: created_ms, passes (0 = nothing), how many waited,
--       longest hold_ms (for how long at most no visitor is let in after the store has forgotten),
--       whether memory is short (0, 1): then the script notes no ended places and forgets the oldest noted ones, except
--       while places come back from their tokens, because ended places must not come back
-- reply exists (0, 1), now_ms, config version, waiting, active, more (0, 1),
--       list of dropped ids, list of ended session ids, list of admitted ids,
--       list of 'second:admitted:ended' of the last two minutes, session end ms of the visitors let in,
--       list of how many ms each of them had waited, list of how many visitors of priority 0, 1, 2 and 3 wait,
--       when visitors could be heard again after the last gap (0 = there was none), how many ms that gap lasted
--       (negative: the clock went back by that much),
--       [passes over this queue, when the store forgot (ms, 0 = never), until when no visitor is let in because of that
--       (ms), how many waited before it forgot, how many places and sessions came back]
-- cost  about 17 commands when idle, 1 more while memory is short; then O(log waiting) for each visitor dropped, ended
--       or let in; 6 or 7 more in the first pass of each 10 seconds, which notes the history and forgets expired passes
--       and blocks; 4 more while several priorities wait; 1 more for a while after the heartbeat timeout was shortened.
--       The pass after a gap moves the end of every session: 1 command for each 500, 1 s for 100,000 on a busy machine.
--       Tokens refill with the time that has passed, up to one second's worth (at least one visitor). A fraction of a
--       visitor is carried over.
local now = clock_ms(ARGV[1])
local most = tonumber(ARGV[2])
local config = redis.call('HMGET', KEYS[1], 'status', 'admission_rate', 'max_active_users',
  'session_timeout_seconds', 'heartbeat_timeout_seconds', 'version', 'priority_share',
  'timeout_before_ms', 'shortened_ms', 'created_ms', 'heartbeat_interval_seconds')
if not config[1] then
  return {0, now, 0, 0, 0, 0, {}, {}, {}, {}, 0, {}, {0, 0, 0, 0}, 0, 0, {0, 0, 0, 0, 0}}
end
local rate = tonumber(config[2])
local expires = now + tonumber(config[4]) * 1000
local BUCKET = {'tokens', 'at', 'owed', 'heard_ms', 'gap_ms', 'passes', 'forgot_ms', 'recovering_ms', 'acknowledged',
  'restored'}
local bucket = redis.call('HMGET', KEYS[10], unpack_values(BUCKET))
-- This comes first, not only to free memory: after it Valkey and Redis allow the script all other writes.
redis.call('ZREMRANGEBYSCORE', KEYS[8], '-inf', whole((now - TOMBSTONE_MS) * 8 + 7))
-- A queue of the same name that was created since has forgotten nothing.
if ARGV[4] == config[10] and note_forgetting(KEYS[10], tonumber(bucket[6] or '0'), tonumber(ARGV[5]), now,
    tonumber(config[11]), tonumber(ARGV[7]), tonumber(ARGV[6])) then
  bucket = redis.call('HMGET', KEYS[10], unpack_values(BUCKET))
end
local passes = tonumber(bucket[6] or '0') + 1
local forgot_ms, recovering_ms = tonumber(bucket[7] or '0'), tonumber(bucket[8] or '0')
local is_short = ARGV[8] == '1' and not (forgot_ms > 0 and now < forgot_ms + RESTORE_MS)
if is_short then
  redis.call('ZREMRANGEBYRANK', KEYS[8], 0, most - 1)
end
-- There may be a gap before the first pass, too.
local gap = gap_since(tonumber(bucket[2] or forgot_ms == 0 and config[10] or nil), now, tonumber(ARGV[3]))
local heard_ms, gap_ms = tonumber(bucket[4] or '0'), tonumber(bucket[5] or '0')
if gap then
  heard_ms, gap_ms = now, gap
end
-- Sessions that were active before the gap end later by its length, as if it had not happened. The limit is one whole
-- session: a server that was off for days must not begin with a room full of visitors that have gone.
-- If no pass ran before, all sessions are restored ones, and they end when their tokens say.
local later_ms = bucket[2] and math.min(gap or 0, tonumber(config[4]) * 1000) or 0
-- Before this pass changes anything: what it does belongs to the step that begins now.
if note_steps(KEYS[12], KEYS[13], KEYS[9], KEYS[2], KEYS[4], tonumber(bucket[2] or nil), now) then
  -- Counts that were wrong, for example because of a server of an older version, are corrected when the line is empty.
  if redis.call('ZCARD', KEYS[2]) == 0 then
    redis.call('UNLINK', KEYS[14])
    -- A join that ran out of memory may have left these. They belong to no place.
    if redis.call('ZCARD', KEYS[4]) == 0 then
      redis.call('UNLINK', KEYS[6], KEYS[7])
    end
  end
  for _, kept in ipairs({{KEYS[16], KEYS[15]}, {KEYS[17], KEYS[18]}}) do
    local outdated = redis.call('ZRANGEBYSCORE', kept[1], '-inf', whole(now), 'LIMIT', 0, most)
    in_chunks(outdated, function(...) redis.call('ZREM', kept[1], ...) end)
    in_chunks(outdated, function(...) redis.call('HDEL', kept[2], ...) end)
  end
end

-- A store that has forgotten places has also forgotten heartbeats, so `forgot_ms` counts like the end of a gap.
local silent = silent_ids(KEYS[3], now, math.max(heard_ms, forgot_ms), gap_ms, tonumber(ARGV[3]), most,
  tonumber(config[5]) * 1000, tonumber(config[8] or '0'), tonumber(config[9] or '0'))
in_chunks(silent, function(...) redis.call('ZREM', KEYS[2], ...) end)
in_chunks(silent, function(...) redis.call('ZREM', KEYS[3], ...) end)
release_places(KEYS[14], KEYS[6], silent)
forget_person(KEYS[6], KEYS[7], silent)
if not is_short then
  bury(KEYS[8], now, 1, silent)
end

local over = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', whole(now - later_ms), 'LIMIT', 0, most)
in_chunks(over, function(...) redis.call('ZREM', KEYS[4], ...) end)
in_chunks(over, function(...) redis.call('HDEL', KEYS[5], ...) end)
forget_person(KEYS[6], KEYS[7], not_in_line(KEYS[2], over))
if not is_short then
  bury(KEYS[8], now, 4, over)
end
if later_ms ~= 0 and attempt('HSET', KEYS[10], 'at', whole(now), 'heard_ms', whole(heard_ms), 'gap_ms', whole(gap_ms)) then
  -- The gap is noted first. Otherwise each pass would find it again, and move the sessions again. If there is no memory
  -- to note it, no session is moved, and the next pass finds the same gap.
  move_ends(KEYS[4], now - later_ms, later_ms)
end

-- A new bucket holds one second's worth, so that an idle queue lets its first visitors in at once.
local burst = math.max(rate, 1)
local tokens = burst
if bucket[1] then
  tokens = math.min(burst, tonumber(bucket[1]) + rate * math.max(0, now - tonumber(bucket[2])) / 1000)
end

-- Counts the waiting visitors of each priority: [1] of priority 0 up to [4] of priority 3. If the first and the last in
-- line have the same priority, all have it, and one command is enough.
local function count_classes()
  local lengths = {0, 0, 0, 0}
  local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  if not first[1] then
    return lengths, 0
  end
  local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
  local highest = 4 - math.floor(tonumber(first[2]) / ARRIVAL_SPAN)
  local lowest = 4 - math.floor(tonumber(last[2]) / ARRIVAL_SPAN)
  if highest == lowest then
    lengths[highest] = redis.call('ZCARD', KEYS[2])
    return lengths, 1
  end
  for class = lowest, highest do
    lengths[class] = redis.call('ZCOUNT', KEYS[2], whole((4 - class) * ARRIVAL_SPAN),
      '(' .. whole((5 - class) * ARRIVAL_SPAN))
  end
  return lengths, 2
end

-- Chooses `count` visitors from the front, each priority its share. Returns ids and scores in turn, and what is owed to
-- lower priorities after that ('' = unchanged).
local function choose_from_front(count, lengths, is_mixed)
  local share = tonumber(config[7] or '0.8')
  if not is_mixed or share >= 1 then
    return redis.call('ZRANGE', KEYS[2], 0, count - 1, 'WITHSCORES'), ''
  end
  local owed = {0, 0, 0, 0}
  local kept = {string.match(bucket[3] or '', '^([%d.]+):([%d.]+):([%d.]+)$')}
  for class = 2, 4 do
    owed[class] = tonumber(kept[class - 1] or '0')
  end
  local taken = split_admissions(count, lengths, share, owed)
  local chosen = {}
  for class = 4, 1, -1 do
    if taken[class] > 0 then
      local found = redis.call('ZRANGEBYSCORE', KEYS[2], whole((4 - class) * ARRIVAL_SPAN),
        '(' .. whole((5 - class) * ARRIVAL_SPAN), 'WITHSCORES', 'LIMIT', 0, taken[class])
      for index = 1, #found do
        chosen[#chosen + 1] = found[index]
      end
    end
  end
  return chosen, string.format('%.6f:%.6f:%.6f', owed[2], owed[3], owed[4])
end

-- Writes how many tokens are left, and when. Returns whether there was memory for it.
local function keep_bucket(left, owed)
  local kept = {'tokens', string.format('%.6f', math.max(0, left)), 'at', whole(now), 'heard_ms', whole(heard_ms),
    'gap_ms', whole(gap_ms), 'passes', whole(passes)}
  if owed ~= '' then
    kept[#kept + 1] = 'owed'
    kept[#kept + 1] = owed
  end
  return attempt('HSET', KEYS[10], unpack_values(kept))
end

-- Creates the sessions of the visitors let in, all or none. Returns whether there was memory for them.
local function make_sessions(ids)
  local sessions, records = {}, {}
  local record = whole(now) .. ':' .. whole(now) .. ':0'
  for index = 1, #ids do
    sessions[index * 2 - 1] = whole(expires)
    sessions[index * 2] = ids[index]
    records[index * 2 - 1] = ids[index]
    records[index * 2] = record
  end
  local are_made = true
  in_chunks(sessions, function(...) are_made = are_made and attempt('ZADD', KEYS[4], ...) end)
  in_chunks(records, function(...) are_made = are_made and attempt('HSET', KEYS[5], ...) end)
  if not are_made then
    in_chunks(ids, function(...) redis.call('ZREM', KEYS[4], ...) end)
    in_chunks(ids, function(...) redis.call('HDEL', KEYS[5], ...) end)
  end
  return are_made
end

local lengths, classes = count_classes()
local admitted = {}
local waits = {}
local waited = 0
local allowed = 0
if config[1] == 'active' and now >= recovering_ms then
  local space = tonumber(config[3]) - redis.call('ZCARD', KEYS[4])
  -- The small addition corrects rounding, so that ten times 0.1 is one visitor.
  allowed = math.max(0, math.min(math.floor(tokens + 0.000001), space))
end
local chosen, owed = {}, ''
if allowed > 0 then
  chosen, owed = choose_from_front(math.min(allowed, most), lengths, classes > 1)
end
local has_room = keep_bucket(tokens - #chosen / 2, owed)
if #chosen > 0 and has_room then
  local ids = {}
  for index = 1, #chosen, 2 do
    ids[#ids + 1] = chosen[index]
  end
  if make_sessions(ids) then
    admitted = ids
    in_chunks(admitted, function(...) redis.call('ZREM', KEYS[2], ...) end)
    in_chunks(admitted, function(...) redis.call('ZREM', KEYS[3], ...) end)
    release_places(KEYS[14], KEYS[6], admitted)
    for at = 1, #admitted do
      local score = tonumber(chosen[at * 2])
      waits[at] = math.floor(math.max(0, now - arrived_ms(score)))
      waited = waited + waits[at]
      local class = 4 - math.floor(score / ARRIVAL_SPAN)
      lengths[class] = lengths[class] - 1
    end
  end
end

local waiting = redis.call('ZCARD', KEYS[2])
open_day(KEYS[9], now, waiting)
if #admitted > 0 then
  attempt('HINCRBY', KEYS[9], 'admitted', #admitted)
  attempt('HINCRBY', KEYS[9], 'waited_ms', whole(waited))
end
if #silent > 0 then
  attempt('HINCRBY', KEYS[9], 'expired', #silent)
end
if #admitted > 0 or #over > 0 then
  note_second(KEYS[11], now, #admitted, #over)
end

local more = 0
if #silent == most or #over == most or (#admitted == most and allowed > most) then
  more = 1
end
return {1, now, tonumber(config[6]), waiting, redis.call('ZCARD', KEYS[4]), more, silent, over, admitted,
  redis.call('HVALS', KEYS[11]), expires, waits, lengths, heard_ms, gap_ms,
  {passes, forgot_ms, recovering_ms, tonumber(bucket[9] or '0'), tonumber(bucket[10] or '0')}}
