-- Extends leases of live holds of one wallet, one after the other; never shortens one. ARGV[7]: milliseconds from
-- now; then requests.
local score = string.format('%.0f', now - pause + tonumber(ARGV[7]))
local reaped = 0
for number = 8, #ARGV do
  redis.call('ZADD', leases, 'XX', 'GT', score, ARGV[number])
  if reaped < 4 * REAPED_MAX then
    reaped = reaped + reap()
  end
end
save()
note()
return {'ok', reaped}
