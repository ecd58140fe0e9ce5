-- Visitors who wait and ask: each request is one visitor's, in turn; each thread has its own share of them.
-- Arguments: method, path, body ('' for none), file of tokens (one a line), threads, requests a second (0 = all
-- it can)
local folder = string.match(debug.getinfo(1, 'S').source, '^@(.*)/[^/]*$') or '.'
local result = dofile(folder .. '/result.lua')
local threads_seen = 0

function setup(thread)
  thread:set('number', threads_seen)
  threads_seen = threads_seen + 1
end

function init(arguments)
  local method, path, body = arguments[1], arguments[2], arguments[3]
  local threads, per_second = tonumber(arguments[5]), tonumber(arguments[6])
  requests = {}
  at = 0
  local line = 0
  for token in io.lines(arguments[4]) do
    if line % threads == number then
      local headers = {
        ['Authorization'] = 'Bearer ' .. token,
        ['User-Agent'] = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
        ['Accept'] = 'application/json',
      }
      if body ~= '' then
        headers['Content-Type'] = 'application/json'
      end
      requests[#requests + 1] = wrk.format(method, path, headers, body ~= '' and body or nil)
    end
    line = line + 1
  end
  if per_second > 0 then
    delay = result.pacer(per_second / threads)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  result.print(summary, latency)
end
