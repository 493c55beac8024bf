-- Changes how far below zero a wallet may go. ARGV[7]: the line; ARGV[8]: when that was asked. One that is sent again
-- from a journal does not undo a later one.
local wallet = KEYS[2]
local known = redis.call('HMGET', wallet, 'balance', 'line', 'held', 'line_at')
if not known[1] then
  return finish_without({'no wallet'})
end
if not fresh then
  note()
  return {'done'}
end
local asked = tonumber(ARGV[8]) or 0
if ARGV[6] == '1' and tonumber(known[4] or '0') > asked then
  return finish({'ok'})
end
local line, owed = integer(ARGV[7]), sub(integer(known[3]), integer(known[1]))
if less(line, integer(known[2])) and less(line, owed) then
  return finish({'owes', text(owed)})
end
redis.call('HSET', wallet, 'line', ARGV[7], 'line_at', string.format('%.0f', asked))
return finish({'ok'})
