-- Extends leases of live holds of one wallet; never shortens one. ARGV[7]: milliseconds from now; then requests.
local score = string.format('%.0f', now - pause + tonumber(ARGV[7]))
local list = {}
for number = 8, #ARGV do
  list[#list + 1] = score
  list[#list + 1] = ARGV[number]
end
redis.call('ZADD', leases, 'XX', 'GT', unpack(list))
local reaped = reap()
save()
note()
return {'ok', reaped}
