-- Says that all entries from one on are needed for some time. KEYS: hash of holds, optionally the stream. ARGV: name, entry, life in ms;
-- with the stream also an entry that it must have: where it has not, it is another stream than the one that is meant, and all is held.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local from = ARGV[2]
if KEYS[2] and #redis.call('XRANGE', KEYS[2], ARGV[4], ARGV[4]) == 0 then from = '0-0' end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%s %.0f', from, now + ARGV[3]))
return 0
