-- For wrk. Arguments: a file of Authorization headers, one a line ("" for none), the bytes of body to POST (0: a GET), and how many
-- requests to render of them and send at random (0: one of each header, in turn).
-- Prints the run's figures as one line of JSON. Without tokens the request is rendered once, which costs wrk nothing.

local tokens = {}
local next_token = 0

function init(arguments)
  local size = tonumber(arguments[2] or "0")
  if size > 0 then
    wrk.method = "POST"
    wrk.body = string.rep("x", size)
    wrk.headers["Content-Type"] = "application/octet-stream"
  end
  if arguments[1] and arguments[1] ~= "" then
    for line in io.lines(arguments[1]) do tokens[#tokens + 1] = line end
    local rendered = {}
    local at_random = tonumber(arguments[3] or "0")
    for index = 1, math.max(#tokens, at_random) do
      wrk.headers["Authorization"] = tokens[(index - 1) % #tokens + 1]
      -- The number keeps two requests with one token apart, which Lua would keep as one string.
      rendered[index] = wrk.format(nil, at_random > 0 and string.format("%s?n=%07d", wrk.path, index) or nil)
    end
    math.randomseed(os.time())
    if at_random > 0 then
      request = function() return rendered[math.random(#rendered)] end
      return
    end
    request = function()
      next_token = next_token % #rendered + 1
      return rendered[next_token]
    end
  end
end

function done(summary, latency, _)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format(
    '{"requests":%d,"microseconds":%d,"bytes":%d,"failed":%d,"p50":%d,"p90":%d,"p99":%d,"p999":%d,' ..
    '"errors":"connect %d, read %d, write %d, status %d, timeout %d"}',
    summary.requests, summary.duration, summary.bytes, failed, latency:percentile(50), latency:percentile(90),
    latency:percentile(99), latency:percentile(99.9), errors.connect, errors.read, errors.write, errors.status,
    errors.timeout))
end
