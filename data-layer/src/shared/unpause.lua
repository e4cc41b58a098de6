-- Ends a pause, unless it is another one by now. KEYS: pause, hash of who stands still. ARGV: name of the pause.
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1], KEYS[2]) end
return 0
