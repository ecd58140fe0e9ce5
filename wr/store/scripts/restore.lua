--@use memory clock chunks arrivals extras departures addresses recovery
-- Puts back places and sessions that the store has forgotten, from what their verified tokens say.
--
-- KEYS  config waiting seen sessions records extras people tombstones counters bucket addresses recalled
-- ARGV  now_ms, what the server knows of this queue: created_ms, passes (0 = nothing), how many waited,
--       hold_ms (for how long at most no visitor is let in after the store has forgotten),
--       then five per item: kind ('p' a place, 's' a session), id (16 bytes),
--       of a place: its score in line, the kind and the digest of the identity that holds it ('' or 17 bytes), when
--       its token expires (ms)
--       of a session: start ms, end ms, 0
-- reply one per item: 1 put back, or there already    0 not put back: it ended, or the store has not forgotten it
-- cost  3 commands for all items together; 3 an item, 8 for one that is put back; O(log waiting)
--
-- A place comes back only if the store is known to have forgotten, and if the place was taken before that and has not
-- ended since. A visitor that a server saw let in gets back that session, and no second one.
local now = clock_ms(ARGV[1])
local config = redis.call('HMGET', KEYS[1], 'created_ms', 'heartbeat_interval_seconds')
local created = tonumber(config[1] or nil)
-- The first call after the store came back may come before the first pass, which would notice the same.
if config[1] == ARGV[2] then
  note_forgetting(KEYS[10], tonumber(redis.call('HGET', KEYS[10], 'passes') or '0'), tonumber(ARGV[3]), now,
    tonumber(config[2]), tonumber(ARGV[5]), tonumber(ARGV[4]))
end
local is_open, forgot = may_restore(KEYS[10], now)
local reply = {}
local restored = 0

local function put_session_back(id, started, ends)
  if redis.call('ZREM', KEYS[2], id) == 1 then
    redis.call('ZREM', KEYS[3], id)
    release_places(KEYS[11], KEYS[6], {id})
  end
  redis.call('ZADD', KEYS[4], ends, id)
  redis.call('HSET', KEYS[5], id, started .. ':' .. whole(now) .. ':0')
  redis.call('HDEL', KEYS[12], id)
  restored = restored + 1
  return 1
end

local function restore_place(id, score, holder, token_ends)
  if redis.call('ZSCORE', KEYS[2], id) then
    return 1
  end
  local started, ends = string.match(redis.call('HGET', KEYS[12], id) or '', '^(%d+):(%d+)$')
  if started then
    return tonumber(ends) > now and put_session_back(id, started, ends) or 0
  end
  local arrival = tonumber(score) % ARRIVAL_SPAN
  local arrived = arrived_ms(tonumber(score))
  -- A token that had expired when the store forgot does not prove that its place was still there.
  if arrived > forgot or arrived < created or token_ends <= forgot then
    return 0
  end
  if holder ~= '' then
    local identity, kind = string.sub(holder, 2), string.sub(holder, 1, 1)
    local held = string.sub(redis.call('HGET', KEYS[7], identity) or '', 1, 16)
    if held ~= '' and held ~= id and (redis.call('ZSCORE', KEYS[2], held) or redis.call('ZSCORE', KEYS[4], held)) then
      return 0
    end
    redis.call('HSET', KEYS[7], identity, id .. kind)
    redis.call('HSET', KEYS[6], id, spell_extra(identity, '', 'c', string.sub(id, 13, 16), ''))
  end
  redis.call('ZADD', KEYS[2], score, id)
  redis.call('ZADD', KEYS[3], whole(now), id)
  local tag = address_of(id, nil)
  if tag then
    redis.call('HINCRBY', KEYS[11], tag, 1)
  end
  -- Visitors that join from now on come behind it.
  if arrival > tonumber(redis.call('HGET', KEYS[9], 'arrival') or '0') then
    redis.call('HSET', KEYS[9], 'arrival', whole(arrival))
  end
  restored = restored + 1
  return 1
end

local function restore_session(id, started, ends)
  if tonumber(started) > forgot or tonumber(started) < created or tonumber(ends) <= now then
    return 0
  end
  return put_session_back(id, started, ends)
end

for item = 6, #ARGV, 5 do
  local outcome = 0
  local id = ARGV[item + 1]
  if created and is_open and not tombstone(KEYS[8], id, now) then
    if redis.call('ZSCORE', KEYS[4], id) then
      outcome = 1
    elseif ARGV[item] == 's' then
      outcome = restore_session(id, ARGV[item + 2], ARGV[item + 3])
    else
      outcome = restore_place(id, ARGV[item + 2], ARGV[item + 3], tonumber(ARGV[item + 4]))
    end
  end
  reply[#reply + 1] = outcome
end
if restored > 0 then
  redis.call('HINCRBY', KEYS[10], 'restored', restored)
end
return reply
