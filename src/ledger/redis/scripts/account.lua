-- Reads all of one wallet that an audit compares, at one moment, and changes nothing. KEYS[1] is the wallet, KEYS[2] its
-- leases, KEYS[3] its grants as given, KEYS[4] its entries, KEYS[5] its keys, KEYS[6] its totals, KEYS[7] the
-- partition's receipts, KEYS[8] its own hash. ARGV[7]: how many totals are read at most; ARGV[8]: how many entries.
-- Live holds are read in one go: there are as many as requests in flight.
local live = {}
local requests = string.sub(KEYS[7], 1, -2) .. 'q:'
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  live[#live + 1] = id
  live[#live + 1] = redis.call('GET', requests .. id) or ''
end
local totals = {}
local days = redis.call('HLEN', KEYS[6])
if days <= tonumber(ARGV[7]) then
  totals = redis.call('HVALS', KEYS[6])
end
local credits = redis.call('HLEN', KEYS[4])
local last = redis.call('XREVRANGE', KEYS[7], '+', '-', 'COUNT', 1)[1]
return {
  'ok',
  last and last[1] or '0-0',
  redis.call('HGETALL', KEYS[1]),
  live,
  redis.call('HGETALL', KEYS[3]),
  credits,
  credits <= tonumber(ARGV[8]) and redis.call('HGETALL', KEYS[4]) or {},
  redis.call('HGETALL', KEYS[5]),
  days,
  totals,
  redis.call('HGET', KEYS[8], 't') or '0',
}
