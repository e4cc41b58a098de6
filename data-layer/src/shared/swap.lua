-- Puts another value in the place of one, with the time that it has left, or drops it. KEYS: key. ARGV: value that must be there, next value or
-- nothing. Answers 1 where it was there.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
end
return 1
