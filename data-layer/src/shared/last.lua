-- Says the number of the last message for each receiver, of those that stay. KEYS: stream of messages.
-- Answers {lane and partition as in the message, id of the entry} for each.
local last = {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
  last[string.sub(entry[2][2], 1, 3)] = entry[1]
end
local flat = {}
for to, id in pairs(last) do
  flat[#flat + 1] = to
  flat[#flat + 1] = id
end
return flat
