-- What a script may still write when the store's memory is used up. Valkey and Redis then refuse what could need
-- memory, unless the script has written something already that could not; DragonflyDB may refuse each such command.
-- attempt(command, key, ...): carries out a write on a hash or a sorted set; nil, and nothing done, where there is no
-- memory for it. For what must go on when memory is short: what frees it, what changes a value without making it much
-- longer, and small notes of fixed number. It costs no more than redis.call as long as there is memory.
-- is_out_of_memory(): whether an attempt of this call has met a store without memory, whatever came of it.
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
  -- Changes nothing, for nothing is called '': but it is a write, after which Valkey and Redis let others pass.
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
