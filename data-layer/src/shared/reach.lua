-- Says what a stream of messages holds together with the mark that goes with it. KEYS: mark, stream. ARGV: id of a message.
-- Answers {mark, 1 where that message is there, a list of the first message if there is any}.
local own = redis.call('XRANGE', KEYS[2], ARGV[1], ARGV[1])
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)
return {redis.call('GET', KEYS[1]) or '', #own, first}
