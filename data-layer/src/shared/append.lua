-- Appends a packet that follows the last one of its sender, or says what was found instead.
-- KEYS: stream, hash of last sequences. ARGV: sender, sequence before, last sequence, packet, most entries.
-- Answers {0 appended | 1 was there | 2 does not follow | 3 full, last sequence of the sender}.
local sent = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0')
if sent >= tonumber(ARGV[3]) then return {1, sent} end
if sent ~= tonumber(ARGV[2]) then return {2, sent} end
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[5]) then return {3, sent} end
redis.call('XADD', KEYS[1], '*', 'b', ARGV[4])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
return {0, tonumber(ARGV[3])}
