--@use memory clock chunks extras
-- Blocks a visitor from joining for a while: the person, the address, or both. It does all of it or fails. A full store
-- takes it if its engine allows any write.
--
-- KEYS  config extras sessions blocks block_notes
-- ARGV  now_ms, until ms, note (JSON), id of a place or '' (16 bytes), whether to block its person (0, 1), whether to
--       block its address (0, 1), whether only if the place is an active session (0, 1), then further members to block:
--       'p' and an identity digest, 'a' and an address tag
-- reply exists (0, 1), list of the members that are blocked now: those of ARGV, and 'i' and the id of a place
-- cost  7 commands and 2 for each member
local now = clock_ms(ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {0, {}}
end
local members = {}
for index = 8, #ARGV do
  members[#members + 1] = ARGV[index]
end
local id = ARGV[4]
local is_wanted = id ~= ''
if is_wanted and ARGV[7] == '1' then
  is_wanted = tonumber(redis.call('ZSCORE', KEYS[3], id) or '0') > now
end
if is_wanted then
  local extra = redis.call('HGET', KEYS[2], id)
  if ARGV[5] == '1' then
    members[#members + 1] = 'i' .. id
    for _, identity in ipairs(extra and {taken_by(extra), raised_by(extra)} or {}) do
      if identity ~= '' then
        members[#members + 1] = 'p' .. identity
      end
    end
  end
  local tag = address_of(id, extra)
  if ARGV[6] == '1' and tag then
    members[#members + 1] = 'a' .. tag
  end
end
if #members > 0 and tonumber(ARGV[2]) > now then
  -- Joins look for blocks only until then, so that a queue without blocks saves that work.
  local last = tonumber(redis.call('HGET', KEYS[1], 'blocked_until') or '0')
  attempt('HSET', KEYS[1], 'blocked_until', whole(math.max(last, tonumber(ARGV[2]))))
  for _, member in ipairs(members) do
    redis.call('ZADD', KEYS[4], ARGV[2], member)
    redis.call('HSET', KEYS[5], member, ARGV[3])
  end
end
return {1, members}
