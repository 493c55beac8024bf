-- Books a credit, once per id. KEYS[3] the wallet's entries. ARGV from 7 on: entry, amount, its record.
local wallet, entries = KEYS[2], KEYS[3]
local known = redis.call('HMGET', wallet, 'balance', 'credited')
if not known[1] then
  return finish_without({'no wallet'})
end
local before = redis.call('HGET', entries, ARGV[7])
if before then
  return finish({'ok', 0, before, known[1]})
end
if not fresh then
  note()
  return {'done'}
end
local amount = integer(ARGV[8])
local balance, credited = add(integer(known[1]), amount), add(integer(known[2]), amount)
local most = of_pairs().RANGE
for _, sum in ipairs({balance, credited}) do
  if less(most, sum) or less(sum, sub(0, most)) then
    return finish({'too much'})
  end
end
local record = string.format('%.0f ', now) .. ARGV[9]
redis.call('HSET', entries, ARGV[7], record)
redis.call('HSET', wallet, 'balance', text(balance), 'credited', text(credited))
return finish({'ok', 1, record, text(balance)})
