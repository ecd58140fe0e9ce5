-- A place in line counts for the address that took it, in a hash of address tag -> places held. A tag is 4 bytes: the
-- last 4 of the place's id, or, where the id says something else, bytes 17 to 20 of its extras value. Four zero bytes
-- stand for no address: such a place is not counted. So a place of the first kind needs no room of its own here.
-- address_of(id, extra): the tag of a place, or nil. `extra` is its extras value, or false.
-- release_places(addresses, extras, ids): these are no longer in line. To be called while their extras are there.
local NO_ADDRESS = string.rep('\0', 4)

local function address_of(id, extra)
  local tag = extra and string.sub(extra, 17, 20) or NO_ADDRESS
  if tag == NO_ADDRESS then
    tag = string.sub(id, 13, 16)
  end
  return tag ~= NO_ADDRESS and tag or nil
end

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
    local tag = address_of(ids[index], beside[index])
    if tag then
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
  in_chunks(left, function(...) redis.call('HSET', addresses, ...) end)
  in_chunks(none, function(...) redis.call('HDEL', addresses, ...) end)
end
