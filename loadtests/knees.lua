-- For wrk: what one request is, chosen by the first argument.
--   get              as given on the command line
--   create           a student whose e-mail nobody else has
--   login            the right password of the user named by the second argument
-- Prints one line of JSON.

local kind
local thread_number = 0

function setup(thread)
  thread:set("number", thread_number)
  thread_number = thread_number + 1
end

function init(arguments)
  kind = arguments[1]
  if kind == "get" then return end
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  if kind == "login" then
    wrk.body = string.format('{"username":"%s","password":"%s"}', arguments[2], arguments[3])
    return
  end
  local run = string.format("%d-%s", os.time(), arguments[2])
  local count = 0
  request = function()
    count = count + 1
    return wrk.format(nil, nil, nil, string.format(
      '{"first_name":"Mina","last_name":"Novak","email":"knee-%s-%d-%d@load.example","program":"Load test"}',
      run, number, count))
  end
end

function done(summary, latency, _)
  local errors = summary.errors
  print(string.format('{"requests":%d,"microseconds":%d,"failed":%d,"p50":%d,"p99":%d}', summary.requests,
    summary.duration, errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
