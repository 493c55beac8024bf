-- Keeps folding out of a partition while an audit reads it page by page. KEYS[2] is the stream of receipts, KEYS[3]
-- the partition's wallets, KEYS[4] its suspense list. ARGV[7]: for how long, in milliseconds; 0 ends it.
-- Answers how many receipts were ever folded, the last that there was, the wallets, and what is suspended.
note()
if ARGV[7] == '0' then
  redis.call('HDEL', meta, 'still')
elseif redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('HSET', meta, 'still', string.format('%.0f', now + tonumber(ARGV[7])))
end
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
return {
  'ok',
  redis.call('HGET', meta, 'folds') or '0',
  last and last[1] or '0-0',
  redis.call('SMEMBERS', KEYS[3]),
  redis.call('LRANGE', KEYS[4], 0, 999),
}
