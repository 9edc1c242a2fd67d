-- Looks after the log, and appends to it: everything that changes the log is done in here, at once or not at all.
--
-- KEYS: the hash of what is known of the log, its stream, the idempotency keys, and their order; the topics that have
--   ended, and their order.
-- ARGV: 1 form of the arguments, 2 epoch and 3 seq that the caller has read up to, 4 time of that event
--   ("" if it isn't known), 5 run of the server as the caller's connection knows it,
--   6 events, 7 bytes, 8 microseconds that the history keeps (0: however old),
--   9 microseconds and 10 number of idempotency keys that are kept, 11 number of ended topics that are remembered,
--   12 number of appends; then for each of them its number of records, its idempotency key ("" if none), the key's
--   digest, the topics of its events (a line for each event, with a space between two), those of its events that end
--   them (NUMBER:TYPE, with a space between two, the first event being 1; "" if none), and the records.
-- Answers: a verdict, epoch, seq, floor, bytes, the time of the oldest event (0 if none), and a list with, of each
--   append, what became of it (new, again, reused), the seq of its first event, and how many it has; or ended, the
--   number of the event that is for an ended topic, and that topic.
--   Verdicts: ok; fenced (the log is not the caller's); waits (the server is another one, see GRACE);
--   layout (a newer Tocsin's log); foreign (the stream's key holds what is no log). Nothing was appended but with ok.
--
-- The stream's entries are EPOCH-SEQ without a hole, each with its time (t, microseconds), the bytes of all
-- events up to and including it (b), and its record (e). Times and bytes never fall from entry to entry, so the
-- place at which to trim is found by bisection. All writes follow all that may be refused.

local LAYOUT = 1
local GRACE = 2000000       -- microseconds in which every node is to say how far it had read
local ENTRY_BYTES = 48      -- what the stream needs for an event beside its record
local MOST_TRIMMED = 10000  -- events a call: some milliseconds
local MOST_FORGOTTEN = 200  -- idempotency keys a call, beside as many as come
local MOST_REOPENED = 1000  -- ended topics a call, beside as many as come
local FIRST_APPEND = 13

local meta_key, stream, once, order, ended, ended_order = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local known_epoch, known_seq, known_time = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local run = ARGV[5]
local max_events, max_bytes, max_age = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local once_window, once_keys = tonumber(ARGV[9]), tonumber(ARGV[10])
local ended_topics = tonumber(ARGV[11])

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local meta = redis.call('HMGET', meta_key,
  'layout', 'epoch', 'seq', 'floor', 'total', 'base', 'time', 'run', 'since')
local epoch, seq, floor = tonumber(meta[2]), tonumber(meta[3]), tonumber(meta[4])
local total, base = tonumber(meta[5]), tonumber(meta[6])  -- bytes of all events ever, and of those up to the floor
local time = tonumber(meta[7]) or 0
local since = tonumber(meta[9]) or 0
local is_changed = false  -- a look that finds all as it was writes nothing

-- Lua would write a large number as 1.7e+12.
local function whole(number)
  return string.format('%.0f', number)
end

-- The time of the kept event `place`, the bytes up to and including it, and its own; nil where it is gone.
local function at(place)
  local id = whole(epoch) .. '-' .. whole(place)
  local found = redis.call('XRANGE', stream, id, id)[1]
  if found then
    return tonumber(found[2][2]), tonumber(found[2][4]), #found[2][6] + ENTRY_BYTES
  end
end

-- Whether the stream holds what is said of it. It may have been trimmed by hand: then the floor is raised.
local function is_whole()
  local length = redis.call('XLEN', stream)
  if length > seq - floor then
    return false
  end
  if length < seq - floor then
    floor = seq - length
    is_changed = true
    local _, upto, own = at(floor + 1)
    base = upto and upto - own or total
  end
  return length == 0 or (at(floor + 1) ~= nil and at(seq) ~= nil)
end

-- Whether the stream's key holds something that no hub wrote.
local function is_foreign()
  local newest = redis.pcall('XREVRANGE', stream, '+', '-', 'COUNT', 1)
  if newest.err then
    return true  -- no stream at all
  end
  local fields = newest[1] and newest[1][2]
  return fields ~= nil and not (#fields >= 6 and fields[1] == 't' and fields[3] == 'b' and fields[5] == 'e')
end

-- Whether the caller has read something that this log doesn't hold: it went back, and grew anew perhaps.
local function went_back()
  if known_epoch ~= epoch then
    return known_epoch > epoch
  end
  if known_seq > seq then
    return true
  end
  return known_time ~= nil and known_seq > floor and at(known_seq) ~= known_time
end

local function keep_meta()
  redis.call('HSET', meta_key, 'layout', LAYOUT, 'epoch', whole(epoch), 'seq', whole(seq),
    'floor', whole(floor), 'total', whole(total), 'base', whole(base), 'time', whole(time),
    'run', run, 'since', whole(since))
end

-- The least place after `low` and before `high` for which `is_enough` holds, which does so from there on; `high` if
-- there is none. An entry that somebody deleted by hand has no time and no bytes: it counts as old.
local function bisect(low, high, is_enough)
  while low + 1 < high do
    local middle = math.floor((low + high) / 2)
    if is_enough(at(middle)) then
      high = middle
    else
      low = middle
    end
  end
  return high
end

-- Let the oldest go that are beyond a limit, of those up to `newest`: what was appended just now, every node is to
-- read first. A hundredth more than the limit is kept at times, so that trimming is shared work.
local function trim(newest)
  local gone = floor
  if seq - floor > max_events + math.floor(max_events / 128) then
    gone = seq - max_events
  end
  gone = math.min(gone, newest, floor + MOST_TRIMMED)
  newest = math.min(newest, floor + MOST_TRIMMED)
  if total - base > max_bytes + math.floor(max_bytes / 128) and gone < newest then
    gone = bisect(gone, newest, function(_, upto) return upto and total - upto <= max_bytes end)
  end
  local function is_young(moment)
    return moment and moment >= now - max_age
  end
  if max_age > 0 and gone < newest and not is_young(at(gone + 1)) then
    -- The first that is young enough stays; what lies behind the newest is.
    gone = bisect(gone, newest + 1, function(moment) return is_young(moment) end) - 1
  end
  if gone > floor then
    local _, upto = at(gone)
    redis.call('XTRIM', stream, 'MINID', whole(epoch) .. '-' .. whole(gone + 1))
    floor, base, is_changed = gone, upto or base, true
  end
end

-- Forget idempotency keys that are too old or too many.
local function forget_keys(come)
  for _ = 1, MOST_FORGOTTEN + 2 * come do
    local oldest = redis.call('LINDEX', order, 0)
    if not oldest then
      return
    end
    local since_then, key = string.match(oldest, '^(%d+) (.*)$')
    if redis.call('HLEN', once) <= once_keys and tonumber(since_then) + once_window > now then
      return
    end
    redis.call('LPOP', order)
    local kept = redis.call('HGET', once, key)
    if kept and string.match(kept, '^%d+ %d+ (%d+) ') == since_then then
      redis.call('HDEL', once, key)
    end
  end
end

-- What became of an append under this key before: seq of the first event, number of events, and whether it was
-- the same; nil if nothing did.
local function remembered(key, digest)
  local kept = redis.call('HGET', once, key)
  if not kept then
    return nil
  end
  local first, count, since_then, of_then = string.match(kept, '^(%d+) (%d+) (%d+) (.*)$')
  if tonumber(since_then) + once_window <= now then
    return nil
  end
  return tonumber(first), tonumber(count), of_then == digest
end

-- Forget the topics that ended first, where they are too many.
local function forget_ended(come)
  for _ = 1, math.min(redis.call('HLEN', ended) - ended_topics, MOST_REOPENED + come) do
    redis.call('HDEL', ended, redis.call('LPOP', ended_order))
  end
end

-- What the append whose topics and finals are these ends: a list of topic, number of the event, and its type; or nil,
-- the number of an event that is for an ended topic, and that topic.
local function ends_of(topics, finals)
  local types, ends, here, number = {}, {}, {}, 0
  for place, type in string.gmatch(finals, '(%d+):(%S+)') do
    types[tonumber(place)] = type
  end
  for line in string.gmatch(topics, '[^\n]+') do
    number = number + 1
    for topic in string.gmatch(line, '%S+') do
      if here[topic] or redis.call('HGET', ended, topic) then
        return nil, number, topic
      end
    end
    if types[number] then
      for topic in string.gmatch(line, '%S+') do
        here[topic] = true
        table.insert(ends, { topic, number, types[number] })
      end
    end
  end
  return ends
end

-- Note what an append ends whose first event has this seq.
local function note_ends(ends, first)
  for _, each in ipairs(ends) do
    redis.call('HSET', ended, each[1], whole(first + each[2] - 1) .. ' ' .. each[3])
    redis.call('RPUSH', ended_order, each[1])
  end
  forget_ended(#ends)
end

local function append(place, count)
  local prefix, moment = whole(epoch) .. '-', whole(time)
  for index = place, place + count - 1 do
    seq = seq + 1
    total = total + #ARGV[index] + ENTRY_BYTES
    redis.call('XADD', stream, prefix .. whole(seq), 't', moment, 'b', whole(total), 'e', ARGV[index])
  end
end

-- Append what the caller brought, and say what became of each. Returns the number of idempotency keys that came.
local function append_all(answer)
  local place, come = FIRST_APPEND, 0
  local some_ended = redis.call('HLEN', ended) > 0
  for _ = 1, tonumber(ARGV[12]) do
    local count, key, digest = tonumber(ARGV[place]), ARGV[place + 1], ARGV[place + 2]
    local topics, finals = ARGV[place + 3], ARGV[place + 4]
    local first, length, is_same, ends, refused, topic
    if key ~= '' then
      first, length, is_same = remembered(key, digest)
    end
    if not first and (some_ended or finals ~= '') then
      ends, refused, topic = ends_of(topics, finals)
    end
    if first then
      table.insert(answer, { is_same and 'again' or 'reused', whole(first), whole(length) })
    elseif refused then
      table.insert(answer, { 'ended', whole(refused), topic })
    else
      first = seq + 1
      append(place + 5, count)
      if ends and #ends > 0 then
        note_ends(ends, first)
        some_ended = true
      end
      if key ~= '' then
        come = come + 1
        redis.call('HSET', once, key, whole(first) .. ' ' .. whole(count) .. ' ' .. whole(now) .. ' ' .. digest)
        redis.call('RPUSH', order, whole(now) .. ' ' .. key)
      end
      table.insert(answer, { 'new', whole(first), whole(count) })
    end
    place = place + 5 + count
  end
  return come
end

if meta[1] and tonumber(meta[1]) > LAYOUT then
  return { 'layout', meta[1] }
end

-- What another program keeps under this name is left alone: it would be deleted for the new log.
if not epoch and is_foreign() then
  return { 'foreign' }
end

if not epoch or not is_whole() or went_back() then
  local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  local latest = newest and tonumber(string.match(newest[1], '^%d+')) or 0
  redis.call('UNLINK', stream, once, order, ended, ended_order)
  epoch = math.max(math.floor(now / 1000), (epoch or 0) + 1, known_epoch + 1, latest + 1)
  seq, floor, total, base, since, is_changed = 0, 0, 0, 0, 0, true
elseif meta[8] ~= run then
  since, is_changed = now, true
end

local verdict = 'ok'
if known_epoch ~= epoch then
  verdict = 'fenced'
elseif now >= since and now < since + GRACE then
  verdict = 'waits'
end

local answer, before, come = {}, seq, 0
if verdict == 'ok' then
  time = math.max(time, now)
  come = append_all(answer)
end
trim(before)
forget_keys(come)
if is_changed or seq > before then
  keep_meta()
end
local oldest = seq > floor and at(floor + 1) or 0
return { verdict, whole(epoch), whole(seq), whole(floor), whole(total - base), whole(oldest), answer }
