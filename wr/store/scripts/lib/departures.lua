-- bury(key, now, reason, ids): notes for an hour that these ended and why; score = time * 8 + reason. On a full store
-- nothing is noted, and later answers are the same as for places that never existed.
-- forget_person(extras, people, ids): deletes the extras of places (see extras.lua), and the entries of `people` that
-- find them by an identity. A value of `people` is the 16-byte id of the place and its kind of identity (see
-- enqueue.lua).
local TOMBSTONE_MS = 3600000

local function bury(key, now, reason, ids)
  local score = whole(now * 8 + reason)
  local pairs_of = {}
  for index = 1, #ids do
    pairs_of[index * 2 - 1] = score
    pairs_of[index * 2] = ids[index]
  end
  in_chunks(pairs_of, function(...) attempt('ZADD', key, ...) end)
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
      for _, identity in ipairs({taken_by(extra), raised_by(extra)}) do
        if identity ~= '' and string.sub(redis.call('HGET', people, identity) or '', 1, 16) == ids[index] then
          redis.call('HDEL', people, identity)
        end
      end
    end
  end
end

-- not_in_line(waiting, ids): returns those that are not in line. A user of the second API has the same id each time,
-- and may have joined again before its last session is removed.
local function not_in_line(waiting, ids)
  local left = {}
  local at = 0
  in_chunks(ids, function(...)
    local scores = redis.call('ZMSCORE', waiting, ...)
    for index = 1, select('#', ...) do
      if not scores[index] then
        left[#left + 1] = ids[at + index]
      end
    end
    at = at + select('#', ...)
  end)
  return left
end
