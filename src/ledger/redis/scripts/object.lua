-- Keeps whose an object is. KEYS[2] the wallet, KEYS[3] the object, KEYS[4] those of its kind by age, KEYS[5] by their
-- end, KEYS[6] the partition's pending ones.
-- ARGV from 7 on: wallet, object, kind, when it was made, when it ends, when this was asked, how many there may be, the
-- record, the request that it waits for (or nothing), and what its settler has to know.
local objects = objects()
if redis.call('EXISTS', KEYS[2]) == 0 then
  return finish_without({'no wallet'})
end
if not fresh then
  note()
  return {'done'}
end
local owner, id = ARGV[7], ARGV[8]
local new = {kind = ARGV[9], created = ARGV[10], expires = ARGV[11], asked = ARGV[12], record = ARGV[14]}
new.request = ARGV[15] ~= '' and ARGV[15]
if new.request then
  -- What has been settled is not pending, in whatever order the two come.
  local ended = redis.pcall('GETRANGE', base .. 'q:' .. new.request, 0, 0)
  new.request = ended ~= 'S' and new.request
end
local known = objects.of(redis.call('GET', KEYS[3]))
local replayed = ARGV[6] == '1'
if replayed then
  -- It undoes nothing that was asked later, and what has ended meanwhile does not come back.
  local dropped = tonumber(redis.call('GET', base .. 'od:' .. owner .. '|' .. id) or '0')
  local asked = math.max(dropped, known and tonumber(known.asked) or 0)
  if asked > tonumber(new.asked) or not objects.is_there(new) then
    return finish({'ok'})
  end
end
local is_known = known and objects.is_there(known)
if is_known and known.kind ~= new.kind then
  return finish({'kind', known.kind})
end
if new.request then
  local other = redis.call('HGET', KEYS[6], new.request)
  if other and other ~= owner .. ' ' .. id then
    return finish({'awaited'})
  end
end
local at_most = tonumber(ARGV[13])
if not is_known and not replayed and redis.call('ZCARD', KEYS[4]) - redis.call('ZCARD', KEYS[5]) >= at_most then
  return finish({'full'})
end

-- Everything is decided: from here on nothing can fail.
if known and not is_known then
  objects.drop(owner, id, known)
end
for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now_text, 'LIMIT', 0, GOING_MAX)) do
  objects.drop(owner, other, {kind = new.kind})
end
if not is_known then
  local beyond = math.min(redis.call('ZCARD', KEYS[4]) + 1 - at_most, GOING_MAX)
  if beyond > 0 then
    for _, other in ipairs(redis.call('ZRANGE', KEYS[5], 0, beyond - 1)) do
      objects.drop(owner, other, {kind = new.kind})
    end
  end
elseif known.request and known.request ~= new.request then
  redis.call('HDEL', KEYS[6], known.request)
end
objects.put(owner, id, new, new.request and ARGV[16] or '')
return finish({'ok'})
