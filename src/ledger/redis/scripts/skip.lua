-- Entries that no journal has any more: the mark passes them, so that later ones can follow, and the operator is told.
-- KEYS: the partition's own hash, its suspense list. ARGV: nonce, the mark as it is, the last number that is gone.
local field = 'm:' .. ARGV[1]
local mark = redis.call('HGET', KEYS[1], field) or '0'
if mark ~= ARGV[2] then
  return {'moved', mark}
end
local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
redis.call('HSET', KEYS[1], field, ARGV[3])
redis.call('RPUSH', KEYS[2], table.concat({ARGV[1], ARGV[3], now, 'gone from the journal, all after', mark}, ' '))
return {'ok'}
