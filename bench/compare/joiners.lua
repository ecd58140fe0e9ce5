-- Visitors who join: each request comes from another client address, as a trusted proxy would tell it.
-- Arguments: path, body, threads, requests a second (0 = all it can), first address (0 to 2^24 - 1)
local folder = string.match(debug.getinfo(1, 'S').source, '^@(.*)/[^/]*$') or '.'
local result = dofile(folder .. '/result.lua')
local threads_seen = 0

function setup(thread)
  thread:set('number', threads_seen)
  threads_seen = threads_seen + 1
end

function init(arguments)
  local whole = wrk.format('POST', arguments[1], {
    ['User-Agent'] = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    ['Accept'] = 'application/json',
    ['Content-Type'] = 'application/json',
    ['X-Forwarded-For'] = 'ADDRESS',
  }, arguments[2])
  local first, last = string.find(whole, 'ADDRESS', 1, true)
  before, after = string.sub(whole, 1, first - 1), string.sub(whole, last + 1)
  stride = tonumber(arguments[3])
  client = tonumber(arguments[5]) + number
  if tonumber(arguments[4]) > 0 then
    delay = result.pacer(tonumber(arguments[4]) / stride)
  end
end

function request()
  client = (client + stride) % 16777216
  local low = client % 256
  local middle = (client - low) / 256 % 256
  local high = (client - low - middle * 256) / 65536
  return before .. '10.' .. high .. '.' .. middle .. '.' .. low .. after
end

function done(summary, latency)
  result.print(summary, latency)
end
