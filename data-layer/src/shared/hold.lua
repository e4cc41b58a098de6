-- Says that all entries from one on are needed for some time. KEYS: hash of holds. ARGV: name, entry, life in ms.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%s %.0f', ARGV[2], now + ARGV[3]))
return 0
