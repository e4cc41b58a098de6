-- Puts the effects of what was taken, and the mark that says so, in together; or says which mark was found instead of the expected one.
-- KEYS: mark, stream of messages, states. ARGV: expected mark, next mark, life of a state in ms, number of messages, then number and
-- bytes of each message, then the bytes of each state, empty to delete it.
-- Answers {0 done | 1 another mark, mark found}.
local found = redis.call('GET', KEYS[1]) or ''
if found ~= ARGV[1] then return {1, found} end
local at = 5
for _ = 1, tonumber(ARGV[4]) do
  redis.call('XADD', KEYS[2], ARGV[at] .. '-1', 'b', ARGV[at + 1])
  at = at + 2
end
for key = 3, #KEYS do
  if ARGV[at] == '' then
    redis.call('DEL', KEYS[key])
  else
    redis.call('SET', KEYS[key], ARGV[at], 'PX', ARGV[3])
  end
  at = at + 1
end
redis.call('SET', KEYS[1], ARGV[2])
return {0, ''}
