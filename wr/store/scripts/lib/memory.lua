-- Writes on a full store. Valkey and Redis refuse commands that could need memory, unless the script has run a write
-- command before that could not need any. DragonflyDB may refuse each such command.
-- attempt(command, key, ...): writes to a hash or a sorted set; returns nil, and changes nothing, if there is no memory
-- for it. It is meant for writes that free memory, that do not make a value much longer, and for small notes of a fixed
-- number. It costs no more than redis.call as long as there is memory.
-- is_out_of_memory(): returns whether an attempt of this call met a full store, even if it succeeded in the end.
local is_used_up = false

local function refused(reply)
  if type(reply) ~= 'table' or not reply.err then
    return false
  end
  local said = reply.err
  if not string.find(said, 'OOM', 1, true) and not string.find(said, 'ut of memory', 1, true) then
    error(said, 0)
  end
  return true
end

local function attempt(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if not refused(reply) then
    return reply
  end
  is_used_up = true
  -- No entry is called '', so this changes nothing. But after this write Valkey and Redis allow the next ones.
  redis.call(string.sub(command, 1, 1) == 'Z' and 'ZREM' or 'HDEL', key, '')
  reply = redis.pcall(command, key, ...)
  if refused(reply) then
    return nil
  end
  return reply
end

local function is_out_of_memory()
  return is_used_up
end
