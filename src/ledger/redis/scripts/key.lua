-- Writes a key's record, if it is still the one that the change was made from. KEYS[3] the wallet's keys.
-- ARGV from 7 on: key, the new revision, `<revision> <enabled> <expiry>`, the record, the digest.
local wallet, keys = KEYS[2], KEYS[3]
if redis.call('EXISTS', wallet) == 0 then
  return finish_without({'no wallet'})
end
local field = 'k:' .. ARGV[7]
local before = redis.call('HGET', wallet, field)
local revision = tonumber(before and string.match(before, '^%d+') or '0')
local next_ = tonumber(ARGV[8])
if not fresh or revision >= next_ then
  local same = before == ARGV[9] and redis.call('HGET', keys, ARGV[7]) == ARGV[10]
  local reply = {same and 'ok' or 'moved'}
  return fresh and finish(reply) or note() or reply
end
-- What comes from a journal may skip revisions that the store has lost.
if revision + 1 < next_ and ARGV[6] ~= '1' then
  return finish({'moved'})
end
redis.call('HSET', wallet, field, ARGV[9])
redis.call('HSET', keys, ARGV[7], ARGV[10], '#' .. ARGV[7], ARGV[11])
return finish({'ok'})
