-- Sees that the user may do all that a hub does, before the log is touched. A right that is missing in the middle of
-- the script would leave events in the stream, and what is said of the log behind them.
--
-- Stands before log.lua where that looks, with the same KEYS. Answers: rights, the command, and its first key; or
-- foreign, and which of the keys beside the log another program uses.
do
  local meta, stream, once, order, ended, ended_order, once_before = unpack(KEYS)
  local prefix = string.gsub(meta, 'log$', '')
  local nodes, processes = prefix .. 'nodes', prefix .. 'processes'

  local used = {
    { 'TIME' }, { 'INFO', 'replication' }, { 'UNLINK', unpack(KEYS) },
    { 'HMGET', meta, 'seq' }, { 'HSET', meta, 'seq', '1' },
    { 'HGET', once, 'k' }, { 'HGETALL', once }, { 'HLEN', once }, { 'HDEL', once, 'k' },
    { 'HGET', once_before, 'k' }, { 'EXPIRE', once_before, '1' },
    { 'LINDEX', order, '0' }, { 'LPOP', order }, { 'RPUSH', order, 'k' },
    { 'HGETALL', ended }, { 'LPOP', ended_order },
    { 'XADD', stream, '1-1', 'e', '' }, { 'XTRIM', stream, 'MINID', '1-1' }, { 'XLEN', stream },
    { 'XRANGE', stream, '-', '+' }, { 'XREVRANGE', stream, '+', '-' }, { 'XREAD', 'STREAMS', stream, '1-1' },
    { 'HGETALL', nodes }, { 'HSET', nodes, 'n', '1' },
    { 'GET', processes }, { 'SET', processes, '1' }, { 'INCR', processes },
    { 'EVAL', '', '2', nodes, processes },
  }
  for _, command in ipairs(used) do
    -- It fails where somebody has taken the command from the server by another name.
    local is_known, is_allowed = pcall(redis.acl_check_cmd, unpack(command))
    if not (is_known and is_allowed) then
      return { 'rights', command[1], command[2] or meta }
    end
  end

  local started = redis.pcall('GET', processes)  -- false where there is none
  if started and not tonumber(started) then
    return { 'foreign', processes }
  end
  if type(redis.pcall('HLEN', nodes)) == 'table' then
    return { 'foreign', nodes }
  end
end
