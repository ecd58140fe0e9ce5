-- Deletes a queue and all that belongs to it.
--
-- KEYS  every key of the queue, config first
-- ARGV  none
-- reply deleted (0, 1)
-- cost  1 command for each key and 1 more; Valkey and Redis free the memory in the background
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
for index = 1, #KEYS do
  redis.call('UNLINK', KEYS[index])
end
return 1
