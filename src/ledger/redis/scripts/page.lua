-- Reads a page of a partition's receipts, and changes nothing. KEYS[1] is their stream.
-- ARGV from 7 on: XRANGE or XREVRANGE, from where, to where, how many to look at; of which wallet, and of which
-- request (empty: of all); and whether to say how far each request is.
-- Answers how many it looked at, the last of them, and those that were asked for: each with its fields.
local stream, of, only, phases = KEYS[1], ARGV[11], ARGV[12], ARGV[13] == '1'
local entries = redis.call(ARGV[7], stream, ARGV[8], ARGV[9], 'COUNT', ARGV[10])
local requests, found = string.sub(stream, 1, -2) .. 'q:', {}
for _, entry in ipairs(entries) do
  local fields = entry[2]
  if (of == '' or fields[2] == of) and (only == '' or fields[4] == only) then
    found[#found + 1] = entry
    if phases then
      entry[3] = redis.call('GETRANGE', requests .. tostring(fields[4]), 0, 0)
    end
  end
end
local last = entries[#entries]
return {'ok', #entries, last and last[1] or '', found}
