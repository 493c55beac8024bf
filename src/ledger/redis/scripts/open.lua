-- Opens a wallet, or adds to an open one what is new. KEYS[3] the partition's wallets, KEYS[4] the wallet's
-- entries, KEYS[5] its grants as given.
-- ARGV from 7 on: wallet, credit line, entry, its amount, its record; then grants (name, unit, amount, expiry,
-- record) after how many there are.
local wallet, entries, given = KEYS[2], KEYS[4], KEYS[5]
local known = redis.call('HMGET', wallet, 'balance', 'credited', 'gv')
if not fresh then
  note()
  return {'ok', 0, string.format('%.0f', now)}
end
local is_new = not known[1]
local balance, credited, version = integer(known[1] or '0'), integer(known[2] or '0'), tonumber(known[3] or '0')
local booked = ARGV[9] ~= '' and redis.call('HEXISTS', entries, ARGV[9]) == 0
if booked then
  local amount = integer(ARGV[10])
  balance, credited = add(balance, amount), add(credited, amount)
  local most = of_pairs().RANGE
  for _, sum in ipairs({balance, credited}) do
    if less(most, sum) or less(sum, sub(0, most)) then
      return finish({'too much'})
    end
  end
end
local changes = {'balance', text(balance), 'credited', text(credited)}
local function change(field, content)
  changes[#changes + 1] = field
  changes[#changes + 1] = content
end
if is_new then
  change('line', ARGV[8])
  change('held', '0')
  change('charged', '0')
  change('shortfall', '0')
  redis.call('SADD', KEYS[3], ARGV[7])
end
if booked then
  redis.call('HSET', entries, ARGV[9], string.format('%.0f ', now) .. ARGV[11])
end
local added = false
for number = 0, tonumber(ARGV[12]) - 1 do
  local name, unit, amount, expires, record = unpack(ARGV, 13 + 5 * number, 17 + 5 * number)
  if redis.call('HSETNX', given, name, record) == 1 then
    change('g:' .. name, unit .. ' ' .. amount .. ' ' .. expires .. ' 0 0')
    added = true
  end
end
change('gv', string.format('%.0f', version + (added and 1 or 0)))
redis.call('HSET', wallet, unpack(changes))
return finish({'ok', is_new and 1 or 0, string.format('%.0f', now)})
