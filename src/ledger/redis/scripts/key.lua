-- Writes a key's record, if it is still the one that the change was made from. KEYS[3] the wallet's keys.
-- ARGV from 7 on: key, the new revision, `<revision> <enabled> <expiry>`, the record, the digest.
local wallet, keys = KEYS[2], KEYS[3]
if redis.call('EXISTS', wallet) == 0 then
  return finish_without({'no wallet'})
end
local field = 'k:' .. ARGV[7]
local before = redis.call('HGET', wallet, field)
local revision, enabled = string.match(before or '0 1', '^(%d+) (%d)')
revision = tonumber(revision)
local next_, disables = tonumber(ARGV[8]), string.match(ARGV[9], '^%d+ 0')
if fresh and ARGV[6] == '1' and disables and enabled == '1' and revision >= next_ then
  -- The store had lost the revocation, and others changed the record since: it is revoked all the same.
  local number = string.format('%.0f', revision + 1)
  local record = string.gsub(redis.call('HGET', keys, ARGV[7]), '"enabled":true', '"enabled":false', 1)
  record = string.gsub(record, '"revision":%d+', '"revision":' .. number, 1)
  redis.call('HSET', wallet, field, number .. ' 0 ' .. string.match(before, '(%S+)$'))
  redis.call('HSET', keys, ARGV[7], record)
  return finish({'ok'})
end
-- What comes from a journal may skip revisions that the store has lost; what is revoked stays so.
local skips = revision + 1 < next_ and ARGV[6] ~= '1'
if not fresh or revision >= next_ or skips or (enabled == '0' and not disables) then
  local same = before == ARGV[9] and redis.call('HGET', keys, ARGV[7]) == ARGV[10]
  local reply = {same and 'ok' or 'moved'}
  return fresh and finish(reply) or note() or reply
end
redis.call('HSET', wallet, field, ARGV[9])
redis.call('HSET', keys, ARGV[7], ARGV[10], '#' .. ARGV[7], ARGV[11])
return finish({'ok'})
