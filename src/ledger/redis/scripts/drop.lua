-- Forgets an object. KEYS[2] the object, KEYS[3] the partition's pending ones. ARGV from 7 on: wallet, object, when
-- this was asked.
local objects = objects()
if not fresh then
  note()
  return {'done'}
end
local owner, id, asked = ARGV[7], ARGV[8], tonumber(ARGV[9])
local known = objects.of(redis.call('GET', KEYS[2]))
if ARGV[6] == '1' then
  -- What the store has lost too may be sent again after this. What was asked later stays.
  redis.call('SET', base .. 'od:' .. owner .. '|' .. id, ARGV[9], 'PX', DROPPED_MS)
  if known and tonumber(known.asked) > asked then
    known = nil
  end
end
if known then
  objects.drop(owner, id, known)
end
return finish({'ok'})
