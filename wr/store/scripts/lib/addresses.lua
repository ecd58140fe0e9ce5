-- Counts the places in line that each address holds: the hash `addresses`, address tag -> places. The extra of a place,
-- or its id, says which address it counts for (see extras.lua).
-- release_places(addresses, extras, ids): counts these places no longer. Call it before their extras are deleted.
local function release_places(addresses, extras, ids)
  if #ids == 0 or redis.call('EXISTS', addresses) == 0 then
    return
  end
  local beside = {}
  if redis.call('EXISTS', extras) == 1 then
    in_chunks(ids, function(...)
      local found = redis.call('HMGET', extras, ...)
      for index = 1, #found do
        beside[#beside + 1] = found[index]
      end
    end)
  end
  local tags, released = {}, {}
  for index = 1, #ids do
    local tag, is_counted = address_of(ids[index], beside[index])
    if tag and is_counted then
      if not released[tag] then
        released[tag] = 0
        tags[#tags + 1] = tag
      end
      released[tag] = released[tag] + 1
    end
  end
  local left, none = {}, {}
  local at = 0
  in_chunks(tags, function(...)
    local held = redis.call('HMGET', addresses, ...)
    for index = 1, #held do
      local tag = tags[at + index]
      local rest = tonumber(held[index] or '0') - released[tag]
      if rest > 0 then
        left[#left + 1] = tag
        left[#left + 1] = whole(rest)
      elseif held[index] then
        none[#none + 1] = tag
      end
    end
    at = at + #held
  end)
  in_chunks(left, function(...)
    if not attempt('HSET', addresses, ...) then
      -- Too low a count does less harm than refusing an address because of places that are gone.
      for index = 1, select('#', ...), 2 do
        none[#none + 1] = (select(index, ...))
      end
    end
  end)
  in_chunks(none, function(...) redis.call('HDEL', addresses, ...) end)
end
