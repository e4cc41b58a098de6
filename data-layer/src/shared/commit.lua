-- Puts the effects of what was taken, and the mark that says so, in together; or says which mark was found instead of the expected one.
-- KEYS: mark, stream of messages, ids, states, notes. ARGV: expected mark, next mark, life of a state in ms, bytes of ids to append, life
-- of ids in ms, number of states, life of a note in ms, number of messages, then id and bytes of each message, then the bytes of each
-- state and note, empty to delete it.
-- Answers {0 done | 1 another mark, mark found}.
local found = redis.call('GET', KEYS[1]) or ''
if found ~= ARGV[1] then return {1, found} end
local at = 9
for _ = 1, tonumber(ARGV[8]) do
  redis.call('XADD', KEYS[2], ARGV[at], 'b', ARGV[at + 1])
  at = at + 2
end
if ARGV[4] ~= '' then
  redis.call('APPEND', KEYS[3], ARGV[4])
  redis.call('PEXPIRE', KEYS[3], ARGV[5])
end
local states = 3 + tonumber(ARGV[6])
for key = 4, #KEYS do
  if ARGV[at] == '' then
    redis.call('DEL', KEYS[key])
  else
    redis.call('SET', KEYS[key], ARGV[at], 'PX', key <= states and ARGV[3] or ARGV[7])
  end
  at = at + 1
end
redis.call('SET', KEYS[1], ARGV[2])
return {0, ''}
