--@use memory clock chunks limits arrivals extras departures addresses statistics retries
-- Joins the line: for each item, finds the place that the visitor holds already, or gives a new one at the end of its
-- priority. The limit counts joins of all queues. Its key is left out if it is on another shard than the queue.
--
-- KEYS  config waiting seen sessions records extras people counters addresses passes pass_ends blocks retries_even
--       retries_odd [limit]
-- ARGV  now_ms, limit (joins per window, 0 = none), window_ms, joins used by each item, as '3,1,' ('' = counted here;
--       without the limit key they were counted before), whether memory is short (0, 1): then no visitor gets a new
--       place, then three per item:
--       wish: new id (16 bytes), address tag (4 bytes, zeros = none), identity kind, whether the place counts for the
--       address ('c', 'n'), priority 0-3, and if the join may be tried again: its key and its meaning (16 bytes and
--       8 bytes, digests)
--       limit subject ('' = not counted)
--       proofs: '' for a visitor that brings nothing, otherwise known id (proved by a token), identity digest and
--       name digest (16 bytes each, zeros = none), length of the pass (3 digits), pass, metadata (JSON or '')
--       kinds: 'o' open: the same identity finds the place again    't' token: only its token finds the place again
--              'p' proved by the site: a proof of the same identity finds the place again
--              'x' the visitor may not take a new place
--              'u' a user of the second API: the id stands for the user, and the name is looked up among blocks only
--       a name is an identity that the visitor only claims: it gets no place while a proof of that identity holds one
--       pass: '' or id digest (16 bytes), then 'uses:expires_ms' (uses 0 = any number)
-- reply now_ms, waiting, then five per item: outcome, id, a, b, joins used in this window
--       1 new: a position, b score    2 waiting already: a position, b score
--       3 admitted already: a session start ms, b session end ms
--       4 full    5 maintenance    6 limited    7 the address holds too many places: a the most it may hold
--       8 identity held by another visitor    9 blocked: a until ms    10 pass used up    11 pass revoked
--       12 pass required
--       13 no memory for another place    14 the key was used for a join with another meaning
--       0 no such queue
-- cost  O(log waiting) an item; for visitors that bring nothing about 11 commands in all; 2 more an item for each of
--       identity, name and pass; 4 more an item while anything is blocked; 2 to 4 more a call if joins bring keys, and
--       1 more (4 more once in ten minutes) if one of those gets a new place;
--       one step, so that no line exceeds its maximum, no address its share, and no identity or pass gets two places
local now = clock_ms(ARGV[1])
local limit = tonumber(ARGV[2])
local ITEM = 3
local FIRST = 6
local UNUSED_LEAST_MS = 30000
local reply = {now, 0}
local config = redis.call('HMGET', KEYS[1], 'status', 'max_queue_size', 'max_places_per_address', 'blocked_until',
  'heartbeat_interval_seconds', 'heartbeat_timeout_seconds')
local exists = config[1] and true or false
local maximum = tonumber(config[2] or '0')
local most_of_address = tonumber(config[3] or '500')

local last_arrival, length
local joined = 0
local now_text = whole(now)
local has_blocks = tonumber(config[4] or '0') > now
-- A place whose token is never used is dropped early: `seen` gets a time before the join, as if the last heartbeat had
-- been then. The first use of the token, or a status call, corrects it.
local timeout_ms = tonumber(config[6] or '60') * 1000
local unused_ms = math.min(timeout_ms, math.max(3000 * tonumber(config[5] or '10'), UNUSED_LEAST_MS))
local unused_text = whole(now - timeout_ms + unused_ms)
if exists then
  length = redis.call('ZCARD', KEYS[2])
  last_arrival = tonumber(redis.call('HGET', KEYS[8], 'arrival') or '0')
  last_arrival = math.max(last_arrival, (now - ARRIVAL_EPOCH_MS) * ARRIVALS_PER_MS - 1)
end

-- New places of one call are written together, and before any place is looked up in the line.
local newcomers, present = {}, {}
local function seat_newcomers()
  in_chunks(newcomers, function(...) redis.call('ZADD', KEYS[2], ...) end)
  in_chunks(present, function(...) redis.call('ZADD', KEYS[3], ...) end)
  newcomers, present = {}, {}
end

-- The number of places that each address of this call holds is read and written once for all items.
local held, tags = {}, {}
for item = FIRST, #ARGV, ITEM do
  local tag = string.sub(ARGV[item], 17, 20)
  if exists and tag ~= NO_ADDRESS and string.sub(ARGV[item], 22, 22) == 'c' and not held[tag] then
    held[tag] = 0
    tags[#tags + 1] = tag
  end
end
-- The places that earlier joins with the same keys got.
local retries = recall_retries(KEYS[13], KEYS[14], now, FIRST, ITEM)

local at_tag = 0
in_chunks(tags, function(...)
  local before = redis.call('HMGET', KEYS[9], ...)
  for index = 1, #before do
    held[tags[at_tag + index]] = tonumber(before[index] or '0')
  end
  at_tag = at_tag + #before
end)

local function place_of(id)
  seat_newcomers()
  local rank = redis.call('ZRANK', KEYS[2], id)
  if rank then
    -- To join again keeps the place.
    attempt('ZADD', KEYS[3], 'XX', now_text, id)
    return 2, rank + 1, whole(tonumber(redis.call('ZSCORE', KEYS[2], id)))
  end
  local expires = tonumber(redis.call('ZSCORE', KEYS[4], id) or nil)
  if expires and expires > now then
    local started = string.match(redis.call('HGET', KEYS[5], id) or '', '^(%d+):')
    return 3, started or '0', whole(expires)
  end
  return nil
end

-- Finds the place that an earlier attempt of the same join got, whose answer may have been lost. This does not count as
-- a use of its token.
local function place_of_retry(id)
  seat_newcomers()
  local rank = redis.call('ZRANK', KEYS[2], id)
  if not rank then
    return place_of(id)
  end
  attempt('ZADD', KEYS[3], 'XX', 'GT', unused_text, id)
  return 2, rank + 1, whole(tonumber(redis.call('ZSCORE', KEYS[2], id)))
end

-- Returns whether a place is in line or inside. Unlike place_of it does not keep the place.
local function is_held(id)
  seat_newcomers()
  local expires = tonumber(redis.call('ZSCORE', KEYS[4], id) or nil)
  return (expires and expires > now) or redis.call('ZSCORE', KEYS[2], id)
end

-- Returns until when the address, an identity or the place is blocked, or nil.
local function blocked_until(tag, identity, name, known)
  for _, member in ipairs({tag ~= NO_ADDRESS and 'a' .. tag or '', identity ~= '' and 'p' .. identity or '',
    name ~= '' and 'p' .. name or '', known ~= '' and 'i' .. known or ''}) do
    local ends = member ~= '' and tonumber(redis.call('ZSCORE', KEYS[12], member) or nil)
    if ends and ends > now then
      return whole(ends)
    end
  end
  return nil
end

-- Notes that a pass gave a place. Returns an outcome if the pass may give no more places.
local function use_pass(pass, id)
  local digest = string.sub(pass, 1, 16)
  local uses, expires = string.match(string.sub(pass, 17), '^(%d+):(%d+)$')
  local used = tonumber(string.match(redis.call('HGET', KEYS[10], digest) or '0:', '^(%d+):'))
  if tonumber(uses) > 0 and used >= tonumber(uses) then
    return 10
  end
  redis.call('HSET', KEYS[10], digest, whole(used + 1) .. ':' .. id)
  redis.call('ZADD', KEYS[11], expires, digest)
  return nil
end

local function is_revoked(pass)
  return string.sub(redis.call('HGET', KEYS[10], string.sub(pass, 1, 16)) or '', 1, 1) == 'R'
end

local function keep_identity(id, identity, kind, counted, tag, metadata)
  if identity ~= '' then
    redis.call('HSET', KEYS[7], identity, id .. kind)
  end
  redis.call('HSET', KEYS[6], id, spell_extra(identity, '', counted, tag, metadata))
end

-- Raises a place to a priority. Returns an outcome if the pass may give no more places.
local function lift(id, score, priority, pass)
  local number = tonumber(score)
  if number < (4 - priority) * ARRIVAL_SPAN then
    return nil
  end
  local refused = pass ~= '' and use_pass(pass, id)
  if refused then
    return refused
  end
  redis.call('ZADD', KEYS[2], whole((3 - priority) * ARRIVAL_SPAN + number % ARRIVAL_SPAN), id)
  return nil
end

-- Returns the extra that a place without one stands for (see extras.lua).
local function of_id(id)
  return spell_extra('', '', 'c', string.sub(id, 13, 16), '')
end

-- Raises the place of a visitor in line that shows a pass. From then on the pass's identity holds it, but only its
-- token finds it again: otherwise a link that makes a browser show an attacker's pass would give the attacker the
-- place. A place that another proof holds or has raised stays as it is.
local function raise(id, score, priority, identity, pass, extra)
  local taken, raised = taken_by(extra), raised_by(extra)
  local is_proved = taken ~= '' and redis.call('HGET', KEYS[7], taken) == id .. 'p'
  if is_proved or raised ~= '' then
    return nil
  end
  local refused = lift(id, score, priority, pass)
  if refused then
    return refused
  end
  redis.call('HSET', KEYS[7], identity, id .. (pass ~= '' and 't' or 'p'))
  redis.call('HSET', KEYS[6], id, spell_extra(taken, identity, string.sub(extra, 33, 33), string.sub(extra, 34), ''))
  return nil
end

-- Finds the place that the identity of a proof holds; nil if it holds none.
local function place_of_proof(holder, known, priority, pass)
  local id, held_as = string.sub(holder, 1, 16), string.sub(holder, 17)
  if not is_held(id) then
    return nil
  end
  -- A place that a pass has raised is found by its token only, except by the site itself.
  if held_as ~= 'p' and known ~= id and pass ~= '' then
    return 8, '', 0, 0
  end
  local outcome, a, b = place_of(id)
  if outcome == 2 then
    local refused = lift(id, b, priority, pass)
    if refused then
      return refused, '', 0, 0
    end
    outcome, a, b = place_of(id)
  end
  return outcome, id, a, b
end

-- Finds the place that a token proves; nil if it is over.
local function place_of_token(known, priority, identity, pass)
  local outcome, a, b = place_of(known)
  if outcome == 2 and identity ~= '' then
    local extra = redis.call('HGET', KEYS[6], known)
    local refused = raise(known, b, priority, identity, pass, extra or of_id(known))
    if refused then
      return refused, '', 0, 0
    end
    outcome, a, b = place_of(known)
  end
  return outcome, known, a, b
end

-- Finds the place that the visitor holds, or an outcome that says why it gets none; nil if it may take a new one.
local function find_place(known, priority, identity, kind, name, pass)
  local holder = identity ~= '' and redis.call('HGET', KEYS[7], identity)
  local proved = kind == 'p' and identity or ''
  if proved ~= '' and holder then
    local outcome, id, a, b = place_of_proof(holder, known, priority, pass)
    if outcome then
      return outcome, id, a, b
    end
  end
  if known ~= '' then
    local outcome, id, a, b = place_of_token(known, priority, proved, pass)
    if outcome then
      return outcome, id, a, b
    end
  end
  if kind ~= 'p' and holder and is_held(string.sub(holder, 1, 16)) then
    local held_as = string.sub(holder, 17)
    if held_as ~= 'o' and held_as ~= '' then
      return 8, '', 0, 0
    end
    local outcome, a, b = place_of(string.sub(holder, 1, 16))
    return outcome, string.sub(holder, 1, 16), a, b
  end
  local claimed = name ~= '' and kind == 'o' and redis.call('HGET', KEYS[7], name)
  if claimed and is_held(string.sub(claimed, 1, 16)) then
    return 8, '', 0, 0
  end
  return nil
end

-- Checks what a visitor brings. Returns an outcome, or nil if the visitor may take a new place.
local function look_at_proofs(id, tag, kind, priority, known, identity, name, pass, key, meaning)
  local kept, kept_meaning = retries.find(key)
  local ends = has_blocks and blocked_until(tag, identity, name, known ~= '' and known or kept or '')
  if ends then
    return 9, '', ends, 0
  end
  if pass ~= '' and is_revoked(pass) then
    return 11, '', 0, 0
  end
  if kept and kept_meaning ~= meaning then
    return 14, '', 0, 0
  end
  if kept then
    local outcome, a, b = place_of_retry(kept)
    if outcome then
      return outcome, kept, a, b
    end
  end
  return find_place(known, priority, identity, kind, name, pass)
end

local function join(wish, proofs)
  local id, tag = string.sub(wish, 1, 16), string.sub(wish, 17, 20)
  local kind, counted, priority = string.sub(wish, 21, 21), string.sub(wish, 22, 22), tonumber(string.sub(wish, 23, 23))
  local key, meaning = string.sub(wish, 24, 39), string.sub(wish, 40, 47)
  local identity, pass, metadata = '', '', ''
  if proofs ~= '' or has_blocks or key ~= '' then
    local known, name = digest_or_none(proofs, 1), digest_or_none(proofs, 33)
    identity = digest_or_none(proofs, 17)
    local pass_ends = 51 + tonumber(proofs ~= '' and string.sub(proofs, 49, 51) or '0')
    pass, metadata = string.sub(proofs, 52, pass_ends), string.sub(proofs, pass_ends + 1)
    local outcome, place, a, b = look_at_proofs(id, tag, kind, priority, known, identity, name, pass,
      key, meaning)
    if outcome then
      return outcome, place, a, b
    end
  end
  if kind == 'x' then
    return 12, '', 0, 0
  end
  if config[1] == 'maintenance' then
    return 5, '', 0, 0
  end
  if maximum > 0 and length >= maximum then
    return 4, '', 0, 0
  end
  if ARGV[5] == '1' or is_out_of_memory() then
    return 13, '', 0, 0
  end
  local is_counted = counted == 'c' and tag ~= NO_ADDRESS
  if is_counted and most_of_address > 0 and held[tag] >= most_of_address then
    return 7, '', most_of_address, 0
  end
  local refused = pass ~= '' and use_pass(pass, id)
  if refused then
    return refused, '', 0, 0
  end
  last_arrival = last_arrival + 1
  local score = whole((3 - priority) * ARRIVAL_SPAN + last_arrival)
  newcomers[#newcomers + 1] = score
  newcomers[#newcomers + 1] = id
  -- Users of the second API have no token that they could use, so their places count as heard from at once.
  present[#present + 1] = kind == 'u' and now_text or unused_text
  present[#present + 1] = id
  retries.note(key, id, meaning)
  if is_counted then
    held[tag] = held[tag] + 1
  end
  -- A place without an extra counts for the address that its id names.
  if identity ~= '' or metadata ~= '' or tag ~= string.sub(id, 13, 16) or not is_counted and tag ~= NO_ADDRESS then
    keep_identity(id, identity, kind, counted, tag, metadata)
  end
  length = length + 1
  joined = joined + 1
  -- The newest place of the lowest priority is the last in line, so no command is needed.
  local position = length
  if priority > 0 then
    seat_newcomers()
    position = redis.call('ZRANK', KEYS[2], id) + 1
  end
  return 1, id, position, score
end

local used_by = {}
if exists and limit > 0 and not KEYS[15] then
  local item = FIRST
  for used in string.gmatch(ARGV[4], '(%d+),') do
    used_by[item] = tonumber(used)
    item = item + ITEM
  end
elseif exists and limit > 0 then
  local subjects, items = {}, {}
  for item = FIRST, #ARGV, ITEM do
    if ARGV[item + 1] ~= '' then
      subjects[#subjects + 1] = ARGV[item + 1]
      items[#items + 1] = item
    end
  end
  if #subjects > 0 then
    local used = count_all(open_window(KEYS[15], now, tonumber(ARGV[3])), subjects)
    for index = 1, #items do
      used_by[items[index]] = used[index]
    end
  end
end

for item = FIRST, #ARGV, ITEM do
  local outcome, id, a, b = 0, '', 0, 0
  local used = used_by[item] or 0
  if exists then
    if used > limit then
      outcome = 6
    else
      outcome, id, a, b = join(ARGV[item], ARGV[item + 2])
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
retries.keep()

if joined > 0 then
  local counted = {}
  for index = 1, #tags do
    if held[tags[index]] > 0 then
      counted[#counted + 1] = tags[index]
      counted[#counted + 1] = whole(held[tags[index]])
    end
  end
  in_chunks(counted, function(...) redis.call('HSET', KEYS[9], ...) end)
  open_day(KEYS[8], now, length)
  redis.call('HINCRBY', KEYS[8], 'enqueued', joined)
  redis.call('HSET', KEYS[8], 'arrival', whole(last_arrival))
  if length > tonumber(redis.call('HGET', KEYS[8], 'peak')) then
    redis.call('HSET', KEYS[8], 'peak', whole(length))
  end
end
reply[2] = length or 0
return reply
