-- Looks after the log, and appends to it: everything that changes the log is done in here, at once or not at all.
--
-- KEYS: the hash of what is known of the log, its stream, the idempotency keys, and their order; the topics that have
--   ended, and their order; the idempotency keys of the epochs before.
-- ARGV: 1 form of the arguments, 2 epoch and 3 seq that the caller has read up to, 4 time of that event
--   ("" if it isn't known), 5 run of the server as the caller's connection knows it,
--   6 events, 7 bytes, 8 microseconds that the history keeps (0: however old),
--   9 microseconds and 10 number of idempotency keys that are kept, 11 number of ended topics that are remembered,
--   12 "1" if the caller read this epoch while nothing was in doubt, 13 "1" if the server keeps all that it answered
--   over a restart, "0" if not ("" if it isn't known), 14 number of appends; then for each of them its number of
--   records, its idempotency key ("" if none), the key's digest, the topics of its events (a line for each event, with
--   a space between two), those of its events that end them (NUMBER:TYPE, with a space between two, the first event
--   being 1; "" if none), and the records.
-- Answers: a verdict, epoch, seq, floor, bytes, the time of the oldest event (0 if none), and a list with, of each
--   append, what became of it (new, again, reused), the seq of its first event, how many it has, and for again their
--   epoch; or ended, the number of the event that is for an ended topic, and that topic. At last "1" where it is known
--   that the log ends where it ended, see `trusted`.
--   Verdicts: ok; fenced (the log is not the caller's); waits (the server is another one, see GRACE);
--   layout (a newer Tocsin's log); foreign, and a key that holds what no hub wrote; refused, and why the keys can't be
--   read. Nothing was appended but with ok.
--
-- The stream's entries are EPOCH-SEQ without a hole, each with its time (t, microseconds), the bytes of all
-- events up to and including it (b), and its record (e). Times and bytes never fall from entry to entry, so the
-- place at which to trim is found by bisection. What may be refused comes before the first write; where a write fails
-- all the same, the next call takes up what is in the stream.
--
-- What else is in the hash: `run` is the server's, `since` when it was first seen. `trusted` is the run in which it is
-- known that the log ends where it ended: a server that lost its newest events looks whole, and would give their ids
-- again. `kept` is the run that loses nothing, as every look at it found. `noted` is `run` as long as no older Tocsin wrote it.

local LAYOUT = 1
local GRACE = 2000000       -- microseconds in which every node is to say how far it had read
local LAST_WORD = 8000000   -- the same where none has said it yet: a node takes so long to miss its server and find it again
local ENTRY_BYTES = 48      -- what the stream needs for an event beside its record
local MOST_TRIMMED = 10000  -- events a call: some milliseconds
local MOST_FORGOTTEN = 200  -- idempotency keys a call, beside as many as come
local MOST_REOPENED = 1000  -- ended topics a call, beside as many as come
local MOST_KEPT = 100000    -- idempotency keys that outlive an epoch: copying them takes some tenths of a second
local AT_ONCE = 1000        -- values of one HSET: Lua's stack takes some thousands
local FIRST_APPEND = 15

local meta_key, stream, once, order, ended, ended_order, once_before = unpack(KEYS)
local known_epoch, known_seq, known_time = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local run = ARGV[5]
local max_events, max_bytes, max_age = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local once_window, once_keys = tonumber(ARGV[9]), tonumber(ARGV[10])
local ended_topics = tonumber(ARGV[11])
local was_there, keeps_all = ARGV[12] == '1', ARGV[13]
local appends = tonumber(ARGV[14])

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local length, ended_before, keys_before  -- of the stream, the ended topics, and the keys of the epochs before

-- Read what is in the keys beside the hash of the log. One of another type is another program's: it fails here, and not after a write.
local function read_keys()
  length, ended_before, keys_before =
    redis.call('XLEN', stream), redis.call('HLEN', ended), redis.call('HLEN', once_before)
  redis.call('HLEN', once)
  redis.call('LINDEX', order, 0)
  redis.call('LINDEX', ended_order, 0)
end

-- The verdict where they can't be read.
local function why_not()
  for _, asked in ipairs({ { 'HLEN', meta_key }, { 'XLEN', stream }, { 'HLEN', once }, { 'LINDEX', order, 0 },
    { 'HLEN', ended }, { 'LINDEX', ended_order, 0 }, { 'HLEN', once_before } }) do
    local said = redis.pcall(unpack(asked))
    if type(said) == 'table' and said.err then
      local is_of_another = string.find(said.err, '^WRONGTYPE')
      return { is_of_another and 'foreign' or 'refused', is_of_another and asked[2] or said.err }
    end
  end
  return { 'refused', 'a right is missing' }
end

local meta = redis.pcall('HMGET', meta_key,
  'layout', 'epoch', 'seq', 'floor', 'total', 'base', 'time', 'run', 'since', 'trusted', 'kept', 'noted')
if meta[1] and tonumber(meta[1]) > LAYOUT then
  return { 'layout', meta[1] }
end
if meta.err or not pcall(read_keys) then
  return why_not()
end

local epoch, seq, floor = tonumber(meta[2]), tonumber(meta[3]), tonumber(meta[4])
local total, base = tonumber(meta[5]), tonumber(meta[6])  -- bytes of all events ever, and of those up to the floor
local time = tonumber(meta[7]) or 0
local since = tonumber(meta[9]) or 0
local trusted, kept = meta[10], meta[11]
-- An older Tocsin notes its run alone: it was there then, or began that log. It says nothing of what that run keeps.
if not trusted or meta[12] ~= meta[8] then
  trusted, kept = meta[8], nil
end
trusted, kept = trusted or '', kept or 'unknown'
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

-- Epoch, seq and fields of the newest entry; nil if there is none.
local function newest_entry()
  local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  if newest then
    local its_epoch, its_seq = string.match(newest[1], '^(%d+)-(%d+)$')
    return tonumber(its_epoch), tonumber(its_seq), newest[2]
  end
end

local function is_of_hub(fields)
  return #fields >= 6 and fields[1] == 't' and fields[3] == 'b' and fields[5] == 'e'
end

-- Take up the entries up to `newest` that the hash doesn't know, if no hole is before them: the script failed when it
-- had appended them. Nodes have delivered them, and to delete the log would lose it all for a right that was missing.
local function take_up(newest, fields)
  local first = whole(epoch) .. '-' .. whole(seq + 1)
  local count = newest - seq
  local moment, upto = tonumber(fields[2]), tonumber(fields[4])
  if is_of_hub(fields) and moment and upto
    and #redis.call('XRANGE', stream, first, '+', 'COUNT', whole(count)) == count then
    seq, time, total, is_changed = newest, moment, upto, true
  end
end

-- Whether the stream holds what is said of it. It may have been trimmed by hand: then the floor is raised.
local function is_whole()
  local its_epoch, newest, fields = newest_entry()
  if its_epoch == epoch and newest > seq then
    take_up(newest, fields)
  end
  if length > seq - floor then
    return false
  end
  if length < seq - floor then
    floor = seq - length
    is_changed = true
    local _, upto, own = at(floor + 1)
    base = upto and upto - own or total
  end
  return length == 0 or (at(floor + 1) ~= nil and its_epoch == epoch and newest == seq)
end

-- Whether the stream's key holds something that no hub wrote.
local function is_foreign()
  local _, _, fields = newest_entry()
  return fields ~= nil and not is_of_hub(fields)
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

-- Whether the caller was there when the log was last added to: publishers are answered when the node that took their
-- event has read it, so nothing that was acknowledged is missing. What Redis wrote as it ended no node may have read,
-- but what came long before that, the caller was cut off from, and from what was lost too.
local function vouches()
  if not was_there or known_epoch ~= epoch then
    return false
  end
  local moment = known_seq < seq and at(known_seq + 1)
  return known_seq == seq or moment and time - moment <= GRACE
end

-- Note whether the present server loses nothing when it is restarted. A replica, by which it may be replaced, lags.
-- What was once not so in a run stays so: what was written then may be lost.
local function note_keeping()
  local lossy = 'not ' .. run
  local found = lossy
  if keeps_all == '1' and kept ~= lossy
    and string.find(redis.call('INFO', 'replication'), 'connected_slaves:0', 1, true) then
    found = run
  end
  if kept ~= found then
    kept, is_changed = found, true
  end
end

local function keep_meta()
  redis.call('HSET', meta_key, 'layout', LAYOUT, 'epoch', whole(epoch), 'seq', whole(seq),
    'floor', whole(floor), 'total', whole(total), 'base', whole(base), 'time', whole(time),
    'run', run, 'since', whole(since), 'trusted', trusted, 'kept', kept, 'noted', run)
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
    if since_then and redis.call('HLEN', once) <= once_keys and tonumber(since_then) + once_window > now then
      return
    end
    redis.call('LPOP', order)
    local record = since_then and redis.call('HGET', once, key)
    if record and string.match(record, '^%d+ %d+ (%d+) ') == since_then then
      redis.call('HDEL', once, key)
    end
  end
end

-- What became of an append under this key before: seq of the first event, number of events, whether it was the same,
-- and the epoch; nil if nothing did.
local function remembered(key, digest)
  local record, its_epoch = redis.call('HGET', once, key), whole(epoch)
  if not record and keys_before > 0 then
    its_epoch, record = string.match(redis.call('HGET', once_before, key) or '', '^(%d+) (.*)$')
  end
  local first, count, since_then, of_then = string.match(record or '', '^(%d+) (%d+) (%d+) (.*)$')
  if not first or tonumber(since_then) + once_window <= now then
    return nil
  end
  return tonumber(first), tonumber(count), of_then == digest, its_epoch
end

-- Keep the idempotency keys of the log that ends here, with its epoch: who comes again with one was told the ids of
-- that log, and would publish a second time. They are in a hash of their own, which an older Tocsin doesn't know: it
-- would take their ids for those of the new epoch. Of many epochs, those before the last go when they are too many.
local function keep_keys(its_epoch)
  local count = redis.call('HLEN', once)
  if count == 0 or count > MOST_KEPT then
    return
  end
  local all = redis.call('HGETALL', once)
  if keys_before + count > once_keys then
    redis.call('UNLINK', once_before)
  end
  for place = 1, #all, AT_ONCE do
    local upto = math.min(place + AT_ONCE - 1, #all)
    for value = place + 1, upto, 2 do
      all[value] = whole(its_epoch) .. ' ' .. all[value]
    end
    redis.call('HSET', once_before, unpack(all, place, upto))
  end
  redis.call('EXPIRE', once_before, whole(math.ceil(once_window / 1000000)))
  keys_before = redis.call('HLEN', once_before)
end

-- Begin a new log, whose epoch is later than any that somebody knows.
local function begin_anew()
  local latest = newest_entry()
  local last = epoch or latest
  if last then
    keep_keys(last)
  end
  redis.call('UNLINK', stream, once, order, ended, ended_order)
  epoch = math.max(math.floor(now / 1000), (epoch or 0) + 1, known_epoch + 1, (latest or 0) + 1)
  seq, floor, total, base, since, is_changed = 0, 0, 0, 0, 0, true
  trusted, ended_before = run, 0
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
  local some_ended = ended_before > 0
  for _ = 1, appends do
    local count, key, digest = tonumber(ARGV[place]), ARGV[place + 1], ARGV[place + 2]
    local topics, finals = ARGV[place + 3], ARGV[place + 4]
    local first, size, is_same, its_epoch, ends, refused, topic
    if key ~= '' then
      first, size, is_same, its_epoch = remembered(key, digest)
    end
    if not first and (some_ended or finals ~= '') then
      ends, refused, topic = ends_of(topics, finals)
    end
    if first then
      table.insert(answer, { is_same and 'again' or 'reused', whole(first), whole(size), its_epoch })
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

-- What another program keeps under this name is left alone: it would be deleted for the new log.
if not epoch and is_foreign() then
  return { 'foreign', stream }
end

if not epoch or not is_whole() or went_back() then
  begin_anew()
elseif meta[8] ~= run then
  since, is_changed = now, true
end

-- The first that says it after a restart is enough; every node has its say all the same, if it knows of more.
if trusted ~= run and (vouches() or keeps_all == '1' and kept == trusted) then
  trusted, is_changed = run, true
end
if since > now + GRACE then  -- the server's clock was set back
  since, is_changed = now, true
end
local is_waiting = now < since + (trusted == run and GRACE or LAST_WORD)
if trusted ~= run and not is_waiting then
  begin_anew()
end
if trusted == run and appends == 0 and keeps_all ~= '' then
  note_keeping()
end

local verdict = 'ok'
if known_epoch ~= epoch then
  verdict = 'fenced'
elseif is_waiting then
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
return { verdict, whole(epoch), whole(seq), whole(floor), whole(total - base), whole(oldest), answer,
  trusted == run and '1' or '' }
