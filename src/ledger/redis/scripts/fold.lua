-- Folds a piece of the partition's oldest receipts. KEYS[2] is their stream.
-- ARGV from 7 on: where to begin, before when (empty: nothing is old), how many to look at, and how many receipts
-- the partition may have.
-- Answers how many went, and where to go on; nowhere, if nothing older is left.
local fold, may_go, is_still = folding()
local stream, before, count = KEYS[2], tonumber(ARGV[8]), tonumber(ARGV[9])
note()
if is_still() then
  return {'still'}
end
local beyond = redis.call('XLEN', stream) - tonumber(ARGV[10])
local entries = redis.call('XRANGE', stream, ARGV[7], '+', 'COUNT', count)
local going, next_ = {}, ''
for number, entry in ipairs(entries) do
  local at = tonumber(string.match(entry[1], '^%d+'))
  if not (before and at < before) and beyond <= #going then
    break
  end
  if may_go(entry) then
    going[#going + 1] = entry
  end
  if number == count then
    next_ = '(' .. entry[1]
  end
end
return {'ok', fold(stream, going), next_}
