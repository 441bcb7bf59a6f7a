-- May this request pass? One round trip: revocation, then the rate limit.
--
-- KEYS[1] the denylist's "whole" marker      ARGV[1] run id of the server, as this connection knows it
-- KEYS[2] the session's denylist key, or ""  ARGV[2] limit (0: no rate limit)
-- KEYS[3] the limiter's key, or ""           ARGV[3] window in milliseconds
--                                            ARGV[4] "1": go on although the denylist isn't whole
-- Answers {verdict, remaining, milliseconds}:
--   0 passed · 1 revoked · 2 the denylist isn't whole · 3 over the limit
-- A request that is refused for any reason uses up no quota.

if KEYS[2] ~= '' then
  if redis.call('EXISTS', KEYS[2]) == 1 then return {1, 0, 0} end
  -- The marker names the server that the list was written to: one that restarted from an old snapshot has another run id.
  if ARGV[4] ~= '1' and redis.call('GET', KEYS[1]) ~= ARGV[1] then return {2, 0, 0} end
end

local limit = tonumber(ARGV[2])
if limit == 0 then return {0, 0, 0} end

local SLICES = 20
local key = KEYS[3]
local window = tonumber(ARGV[3])
local width = window / SLICES
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local current = math.floor(now / width)

-- The hash holds the newest slice's index, the total of all live slices, and a count for each slice in a ring.
local state = redis.call('HMGET', key, 'newest', 'total')
local newest = tonumber(state[1])
local total = tonumber(state[2]) or 0

if newest == nil or current - newest > SLICES then
  if newest then redis.call('DEL', key) end
  newest, total = current, 0
  redis.call('HSET', key, 'newest', current, 'total', 0)
  redis.call('PEXPIRE', key, window + math.ceil(width) * 2)
elseif current > newest then
  local leaving = {}
  for index = newest + 1, current do leaving[#leaving + 1] = index % (SLICES + 1) end
  local counts = redis.call('HMGET', key, unpack(leaving))
  for i = 1, #counts do total = total - (tonumber(counts[i]) or 0) end
  redis.call('HDEL', key, unpack(leaving))
  redis.call('HSET', key, 'newest', current, 'total', total)
  redis.call('PEXPIRE', key, window + math.ceil(width) * 2)
  newest = current
end
-- A clock that was set back: go on in the newest slice rather than in one that has passed.
if current < newest then current = newest end

if total >= limit then
  for index = newest - SLICES, newest do
    local count = redis.call('HGET', key, index % (SLICES + 1))
    if count and tonumber(count) > 0 then
      return {3, 0, math.max(1, math.ceil((index + SLICES + 1) * width - now))}
    end
  end
  return {3, 0, window}
end

redis.call('HINCRBY', key, current % (SLICES + 1), 1)
redis.call('HINCRBY', key, 'total', 1)
return {0, limit - total - 1, math.ceil((current + SLICES + 1) * width - now)}
