-- Writes a queue's settings back into a store that has forgotten them, or that has older settings of the same queue,
-- with its blocks and its revoked passes. One step, so that no blocked visitor can join in between.
--
-- KEYS  config blocks block_notes passes pass_ends revoked
-- ARGV  created_ms, version, when the last block ends (ms, 0 = no blocks), number of settings, number of blocks,
--       then field and value of each setting, member, until ms and note of each block, digest and until ms of each
--       revoked pass
-- reply whether settings were written (0, 1)
-- cost  3 commands, one for each setting, 2 for each block, 4 for each pass
local function put_lists_back(first, blocks)
  if tonumber(ARGV[3]) > tonumber(redis.call('HGET', KEYS[1], 'blocked_until') or '0') then
    redis.call('HSET', KEYS[1], 'blocked_until', ARGV[3])
  end
  local passes = first + blocks * 3
  for index = first, passes - 1, 3 do
    if redis.call('ZADD', KEYS[2], 'NX', ARGV[index + 1], ARGV[index]) == 1 then
      redis.call('HSET', KEYS[3], ARGV[index], ARGV[index + 2])
    end
  end
  for index = passes, #ARGV, 2 do
    if redis.call('ZADD', KEYS[6], 'NX', ARGV[index + 1], ARGV[index]) == 1 then
      redis.call('HSET', KEYS[4], ARGV[index], 'R0:')
      redis.call('ZADD', KEYS[5], ARGV[index + 1], ARGV[index])
    end
  end
end

local kept = redis.call('HMGET', KEYS[1], 'created_ms', 'version')
if kept[2] and kept[1] ~= ARGV[1] then
  return 0
end
local settings_end = 5 + tonumber(ARGV[4]) * 2
local is_older = not kept[2] or tonumber(kept[2]) < tonumber(ARGV[2])
if is_older then
  redis.call('HSET', KEYS[1], 'created_ms', ARGV[1], 'version', ARGV[2])
  for index = 6, settings_end, 2 do
    redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1])
  end
end
put_lists_back(settings_end + 1, tonumber(ARGV[5]))
return is_older and 1 or 0
