-- bury(key, now, reason, ids): remembers for an hour that these ended and why; score = time * 8 + reason.
-- forget_person(extras, people, ids): drops what was stored beside a place: its metadata, and the entry that
-- recognises the person. An extras value is the 16-byte person digest (or 16 zero bytes), the 4-byte address tag
-- (or 4 zero bytes, see addresses.lua) and then the JSON; a people value is the 16-byte id of the place and how it
-- is given back (see enqueue.lua).
local TOMBSTONE_MS = 3600000
local NOBODY = string.rep('\0', 16)

local function bury(key, now, reason, ids)
  local score = whole(now * 8 + reason)
  local pairs_of = {}
  for index = 1, #ids do
    pairs_of[index * 2 - 1] = score
    pairs_of[index * 2] = ids[index]
  end
  in_chunks(pairs_of, function(...) redis.call('ZADD', key, ...) end)
end

local function tombstone(key, id, now)
  local score = tonumber(redis.call('ZSCORE', key, id) or nil)
  if not score then
    return nil
  end
  local ended = math.floor(score / 8)
  if ended <= now - TOMBSTONE_MS then
    return nil
  end
  return ended, math.floor(score % 8)
end

local function forget_person(extras, people, ids)
  if #ids == 0 or redis.call('EXISTS', extras) == 0 then
    return
  end
  for index = 1, #ids do
    local extra = redis.call('HGET', extras, ids[index])
    if extra then
      redis.call('HDEL', extras, ids[index])
      local person = string.sub(extra, 1, 16)
      if person ~= NOBODY and string.sub(redis.call('HGET', people, person) or '', 1, 16) == ids[index] then
        redis.call('HDEL', people, person)
      end
    end
  end
end
