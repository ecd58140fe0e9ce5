-- read_record(record): a session's start, last activity and page views as texts, then where it was used from, as
-- gate.lua keeps it: addresses, eight hexadecimal digits each, and marks, 19 characters each.
-- spell_record(...): the other way round.
local function read_record(record)
  return string.match(record, '^(%d+):(%d+):(%d+):?(%x*):?(%w*)$')
end

local function spell_record(started, last, views, addresses, marks)
  local record = started .. ':' .. last .. ':' .. views
  if addresses == '' and marks == '' then
    return record
  end
  return record .. ':' .. addresses .. ':' .. marks
end
