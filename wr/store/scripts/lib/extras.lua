-- The extra of a place that needs more than its id: one value of the hash `extras`, made of
--   bytes 1-16   digest of the identity that took the place (zeros = none)
--   bytes 17-32  digest of the identity whose pass raised the place later (zeros = none)
--   byte 33      'c' if the place counts among those that its address holds, 'n' if not
--   bytes 34-37  address tag (zeros = none)
--   then         metadata (JSON, or nothing)
-- A place without an extra counts for the address whose tag is in the last 4 bytes of its id (zeros = none).
-- spell_extra(taken, raised, counted, tag, metadata), taken_by(extra), raised_by(extra): '' stands for no identity.
-- metadata_of(extra): returns what the visitor brought, '' for nothing.
-- address_of(id, extra): returns the address tag of a place or nil, and whether the place counts for it.
local NOBODY = string.rep('\0', 16)
local NO_ADDRESS = string.rep('\0', 4)

local function digest_or_none(text, first)
  local found = string.sub(text, first, first + 15)
  return found ~= NOBODY and found or ''
end

local function spell_extra(taken, raised, counted, tag, metadata)
  return (taken ~= '' and taken or NOBODY) .. (raised ~= '' and raised or NOBODY) .. counted .. tag .. metadata
end

local function taken_by(extra)
  return digest_or_none(extra, 1)
end

local function raised_by(extra)
  return digest_or_none(extra, 17)
end

local function metadata_of(extra)
  return string.sub(extra or '', 38)
end

local function address_of(id, extra)
  local tag = extra and string.sub(extra, 34, 37) or string.sub(id, 13, 16)
  if tag == NO_ADDRESS or tag == '' then
    return nil, false
  end
  return tag, not extra or string.sub(extra, 33, 33) == 'c'
end
