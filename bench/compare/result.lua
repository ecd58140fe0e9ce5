-- What every load script has in common: the outcome as one line of JSON, and pacing.
-- Latency is wrk's own, from the last byte sent to the last byte received: it is not corrected for
-- requests that had to wait in wrk.
local result = {}

function result.print(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %.0f, "duration_us": %.0f, "not_ok": %.0f, "socket_errors": %.0f, "timeouts": %.0f, ' ..
    '"p50_us": %.0f, "p90_us": %.0f, "p99_us": %.0f, "max_us": %.0f}\n',
    summary.requests, summary.duration, errors.status, errors.connect + errors.read + errors.write,
    errors.timeout, latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max))
end

-- Makes the `delay` that wrk asks before each request: milliseconds until the next of `per_second` slots. Wrk
-- waits whole milliseconds, so a request may leave up to one early; the rate as a whole is kept.
function result.pacer(per_second)
  local ffi = require('ffi')
  ffi.cdef('typedef struct { long sec; long nsec; } moment; int clock_gettime(int, moment *);')
  local moment = ffi.new('moment')
  local function now_ms()
    ffi.C.clock_gettime(1, moment)
    return tonumber(moment.sec) * 1000 + tonumber(moment.nsec) / 1000000
  end
  local due = now_ms()
  return function()
    local now = now_ms()
    due = math.max(due + 1000 / per_second, now - 100)
    return math.max(0, math.floor(due - now))
  end
end

return result
