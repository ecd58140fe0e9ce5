-- Writes a webhook: a new one if there are not too many, or a changed one if the store still has what was read.
--
-- KEYS  [webhooks]
-- ARGV  id, its new text, the text that it replaces (empty: it must not exist), most webhooks
-- reply 0 written, 1 the store has another text, 2 there are too many
-- cost  3 commands; one step, so that two operators who add a webhook at once do not exceed the limit
local known = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if known ~= ARGV[3] then
  return 1
end
if known == '' and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then
  return 2
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 0
