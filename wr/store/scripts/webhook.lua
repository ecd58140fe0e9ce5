-- Keeps a webhook: a new one if there is room for it, or one in place of what was read of it before.
--
-- KEYS  webhooks
-- ARGV  id, its new text, the text that it replaces (empty: it must not exist), most webhooks
-- reply 0 written, 1 it is not as was read, 2 there are too many
-- cost  3 commands; one step, so that two who add at once do not make one too many
local known = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if known ~= ARGV[3] then
  return 1
end
if known == '' and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then
  return 2
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 0
