-- Drops entries before one that nobody needs any more. Whoever holds an older one, and has not run out of time, keeps all from it on.
-- KEYS: stream, hash of holds. ARGV: start of the names of holds on this stream, first entry that stays: ms, number; optionally an entry
-- without which the stream is not the one that is meant, and nothing is dropped.
-- Answers how many were dropped.
if ARGV[4] and #redis.call('XRANGE', KEYS[1], ARGV[4], ARGV[4]) == 0 then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ms, number = tonumber(ARGV[2]), tonumber(ARGV[3])
local holds = redis.call('HGETALL', KEYS[2])
for at = 1, #holds, 2 do
  if string.sub(holds[at], 1, #ARGV[1]) == ARGV[1] then
    local held_ms, held_number, until_ms = string.match(holds[at + 1], '^(%d+)-(%d+) (%d+)$')
    held_ms, held_number = tonumber(held_ms), tonumber(held_number)
    if tonumber(until_ms) < now then
      redis.call('HDEL', KEYS[2], holds[at])
    elseif held_ms < ms or (held_ms == ms and held_number < number) then
      ms, number = held_ms, held_number
    end
  end
end
return redis.call('XTRIM', KEYS[1], 'MINID', '=', string.format('%.0f-%.0f', ms, number))
