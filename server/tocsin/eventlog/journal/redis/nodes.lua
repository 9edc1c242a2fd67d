#!lua flags=allow-oom
-- Notes how many clients a node has, and sums up those of the others.
--
-- KEYS: the hash of the nodes, the count of the processes that were ever started.
-- ARGV: 1 name of the node, 2 its number, 3 how many clients it has ("" if it leaves), 4 seconds after which a node
--   that said nothing is forgotten.
-- Answers: the clients of all other nodes.

local nodes, processes = KEYS[1], KEYS[2]
local name, number, clients, forgotten_after = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local now = tonumber(redis.call('TIME')[1])

if clients == '' then
  redis.call('HDEL', nodes, name)
else
  redis.call('HSET', nodes, name, now .. ' ' .. clients)
  redis.call('EXPIRE', nodes, forgotten_after)
end

-- Redis may have been emptied: the numbers of nodes that live are not given again.
if number > tonumber(redis.call('GET', processes) or 0) then
  redis.call('SET', processes, number)
end

local elsewhere = 0
local all = redis.call('HGETALL', nodes)
for place = 1, #all, 2 do
  local seen, count = string.match(all[place + 1], '^(%d+) (%d+)$')
  if all[place] ~= name then
    if now - seen > forgotten_after then
      redis.call('HDEL', nodes, all[place])
    else
      elsewhere = elsewhere + count
    end
  end
end
return elsewhere
