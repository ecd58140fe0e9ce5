-- Remembers the place of a join that may be tried again, by the digest of its key. Two hashes take turns, each for ten
-- minutes: digest -> place id (16 bytes) and the digest of what was asked for (8 bytes). A hash is deleted whole, so a
-- key is remembered for ten to twenty minutes. Only joins that bring a key take room here. The field '#' holds the
-- number of the ten minutes.
-- recall_retries(even, odd, now, first, step): reads the places of the keys in ARGV from `first` on, in at most four
-- commands for all of them, none if there is no key. Returns three functions. find(key): the place and what was asked
-- for, or nil. note(key, id, meaning): notes a place that was taken just now. keep(): writes what was noted.
local RETRY_MS = 600000

local function recall_retries(even, odd, now, first, step)
  local fields, places, noted = {}, {}, {}
  for item = first, #ARGV, step do
    local key = string.sub(ARGV[item], 24, 39)
    if key ~= '' and places[key] == nil then
      places[key] = false
      fields[#fields + 1] = key
    end
  end
  local turn = math.floor(now / RETRY_MS)
  local hashes = turn % 2 == 0 and {even, odd} or {odd, even}
  local is_open = false
  for age = 0, #fields > 0 and 1 or -1, 1 do
    if redis.call('HGET', hashes[age + 1], '#') == whole(turn - age) then
      is_open = is_open or age == 0
      local at = 0
      in_chunks(fields, function(...)
        local found = redis.call('HMGET', hashes[age + 1], ...)
        for index = 1, #found do
          places[fields[at + index]] = places[fields[at + index]] or found[index]
        end
        at = at + #found
      end)
    end
  end
  return {
    find = function(key)
      local kept = places[key]
      if not kept then
        return nil
      end
      return string.sub(kept, 1, 16), string.sub(kept, 17)
    end,
    note = function(key, id, meaning)
      if key ~= '' then
        places[key] = id .. meaning
        noted[#noted + 1] = key
        noted[#noted + 1] = places[key]
      end
    end,
    keep = function()
      if #noted > 0 and not is_open then
        redis.call('UNLINK', hashes[1])
        attempt('HSET', hashes[1], '#', whole(turn))
        redis.call('PEXPIRE', hashes[1], whole(2 * RETRY_MS))
      end
      in_chunks(noted, function(...) attempt('HSET', hashes[1], ...) end)
    end,
  }
end
