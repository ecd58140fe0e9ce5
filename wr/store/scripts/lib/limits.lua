-- open_window(key, now, window_ms): makes `key` the hash that counts the current fixed window. The hash of a window
-- that is over is deleted, or expires by itself. The field '#' says when the window began and when it ends. The server
-- that opens a window decides how long it lasts, so that servers with different settings count together. No subject is
-- '#'.
local function open_window(key, now, window_ms)
  local begins, ends = string.match(redis.call('HGET', key, '#') or '', '^(%d+):(%d+)$')
  -- If the clock went back to before the window began, a new window is opened.
  if not begins or now < tonumber(begins) or now >= tonumber(ends) then
    local start = math.floor(now / window_ms) * window_ms
    redis.call('UNLINK', key)
    attempt('HSET', key, '#', whole(start) .. ':' .. whole(start + window_ms))
    redis.call('PEXPIRE', key, whole(window_ms * 2))
  end
  return key
end

-- count_all(key, subjects): counts one request of each subject, two of one that comes twice. Returns how many each has
-- used, in order. Two commands for all of them, because one command for each would double the cost of a heartbeat. On
-- a full store the counts stay as they were, so that visitors that leave, and operators that free memory, are served.
local function count_all(key, subjects)
  if #subjects == 1 then
    return {attempt('HINCRBY', key, subjects[1], 1) or tonumber(redis.call('HGET', key, subjects[1]) or '0') + 1}
  end
  local counts, distinct, used, pairs_of = {}, {}, {}, {}
  for index = 1, #subjects do
    local subject = subjects[index]
    if not counts[subject] then
      counts[subject] = 0
      distinct[#distinct + 1] = subject
    end
  end
  local at = 0
  in_chunks(distinct, function(...)
    local before = redis.call('HMGET', key, ...)
    for index = 1, #before do
      counts[distinct[at + index]] = tonumber(before[index] or '0')
    end
    at = at + #before
  end)
  for index = 1, #subjects do
    local subject = subjects[index]
    local count = counts[subject] + 1
    counts[subject] = count
    used[index] = count
  end
  for index = 1, #distinct do
    pairs_of[index * 2 - 1] = distinct[index]
    pairs_of[index * 2] = whole(counts[distinct[index]])
  end
  in_chunks(pairs_of, function(...) attempt('HSET', key, ...) end)
  return used
end

-- used_by_items(first, scope_of, scopes, now): counts the items of ARGV from `first` on. An item is an id, a kind and a
-- limit subject. Returns what each has used of the scope of its kind, by the item's index in ARGV. A scope is {count,
-- window_ms, key}. Items of a scope with count 0, and of kinds without a scope, are not counted.
local function used_by_items(first, scope_of, scopes, now)
  local used = {}
  for name, scope in pairs(scopes) do
    local subjects, items = {}, {}
    if scope[1] > 0 then
      for item = first, #ARGV, 3 do
        if scope_of[ARGV[item + 1]] == name then
          subjects[#subjects + 1] = ARGV[item + 2]
          items[#items + 1] = item
        end
      end
    end
    if #subjects > 0 then
      local counted = count_all(open_window(scope[3], now, scope[2]), subjects)
      for index = 1, #items do
        used[items[index]] = counted[index]
      end
    end
  end
  return used
end
