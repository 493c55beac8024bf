-- Reads a page of a wallet's objects of one kind, newest first, and changes nothing. KEYS[1] are they by age.
-- ARGV from 7 on: what stands before their ids in their names, now, after which one (empty: from the newest), whether that
-- one has to be there, how many to look at, how many to tell.
-- Answers the last that it looked at (nothing: there is no other), and what it found: ids and contents in turn.
local ages, names, now, after = KEYS[1], ARGV[7], tonumber(ARGV[8]), ARGV[9]
local function content_of(id)
  local content = redis.call('GET', names .. id)
  local expires, request = string.match(content or '', '^%S+ %d+ (%d+) %d+ (%S+)\n')
  return expires and (request ~= '-' or now < tonumber(expires)) and content
end
local first = 0
if after ~= '' then
  local rank = redis.call('ZREVRANK', ages, after)
  if not rank or (ARGV[10] == '1' and not content_of(after)) then
    return {'gone'}
  end
  first = rank + 1
end
local looked, want = tonumber(ARGV[11]), tonumber(ARGV[12])
local ids, found, last = redis.call('ZREVRANGE', ages, first, first + looked - 1), {}, ''
for number, id in ipairs(ids) do
  local content = content_of(id)
  if content then
    found[#found + 1] = id
    found[#found + 1] = content
  end
  if #found >= 2 * want then
    break
  end
  if number == looked then
    last = id
  end
end
return {'ok', last, found}
