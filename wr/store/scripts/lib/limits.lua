-- open_window(even, odd, now, window_ms): the hash that counts the current fixed window. Windows take turns
-- with two hashes; one that still counts an older window is dropped whole, and both expire by themselves.
-- The field '#' holds the window's number; subjects never start with '#'.
local function open_window(even, odd, now, window_ms)
  local number = math.floor(now / window_ms)
  local key = even
  if number % 2 == 1 then
    key = odd
  end
  local label = whole(number)
  if redis.call('HGET', key, '#') ~= label then
    redis.call('UNLINK', key)
    redis.call('HSET', key, '#', label)
    redis.call('PEXPIRE', key, whole(window_ms * 2))
  end
  return key
end
