-- A journal has replayed what this partition had lost. ARGV from 7 on: the journals that are present. When all
-- of them have, the partition takes holds again.
local replayed = meta .. ':replayed'
if recovering then
  redis.call('SADD', replayed, nonce)
  redis.call('PEXPIRE', replayed, 60000)
  local all = acked <= mark
  for number = 7, #ARGV do
    all = all and redis.call('SISMEMBER', replayed, ARGV[number]) == 1
  end
  if all or now - tonumber(recovering) >= 10000 then
    redis.call('DEL', replayed)
    redis.call('HDEL', meta, 'rec')
    recovering = nil
  end
end
-- Nothing that was noted may set it again.
for number = #noted - 1, 1, -2 do
  if noted[number] == 'rec' and not recovering then
    table.remove(noted, number + 1)
    table.remove(noted, number)
  end
end
note()
return {recovering and 'recovering' or 'ok'}
