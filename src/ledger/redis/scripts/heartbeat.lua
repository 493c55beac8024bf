-- A proxy says that it is present, and where it found that writes were lost; it is told of all others.
-- KEYS[1] is the hash of proxies. ARGV[1..2]: nonce, words; from 3 on: partitions that lost writes.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local stamp = string.format('%.0f', now)
redis.call('HSET', KEYS[1], ARGV[1], stamp .. ' ' .. ARGV[2])
for place = 3, #ARGV do
  redis.call('HSET', KEYS[1], 'lost:' .. ARGV[place], stamp)
end
local all, told = redis.call('HGETALL', KEYS[1]), {stamp}
for place = 1, #all, 2 do
  local kept = string.sub(all[place], 1, 5) == 'lost:' and 60000 or 86400000
  if now - (tonumber(string.match(all[place + 1], '^%d+')) or 0) > kept then
    redis.call('HDEL', KEYS[1], all[place])
  else
    told[#told + 1] = all[place]
    told[#told + 1] = string.match(all[place + 1], '^%d+') or '0'
  end
end
return told
