-- Changes how far below zero a wallet may go. ARGV[7]: the line.
local wallet = KEYS[2]
local known = redis.call('HMGET', wallet, 'balance', 'line', 'held')
if not known[1] then
  return finish_without({'no wallet'})
end
if not fresh then
  note()
  return {'done'}
end
local line, owed = integer(ARGV[7]), sub(integer(known[3]), integer(known[1]))
if less(line, integer(known[2])) and less(line, owed) then
  return finish({'owes', text(owed)})
end
redis.call('HSET', wallet, 'line', ARGV[7])
return finish({'ok'})
