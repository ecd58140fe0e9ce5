-- read_record(record): returns a session's start, last activity and page views as texts, then from where it was used,
-- as gate.lua keeps it: addresses of eight hexadecimal digits each, and marks of 19 characters each.
-- spell_record(...): spells a record from these.
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
