-- What every call begins with: the partition's time, the marks of journals, and whether writes were lost.
-- KEYS[1] is the partition's own hash. ARGV[1..6]: clock, gap, nonce, seq, acked, replay.
local meta = KEYS[1]
-- How long an idempotency claim answers repeats.
local CLAIM_MS = 86400000
local nonce, seq, acked = ARGV[3], ARGV[4], tonumber(ARGV[5])
local known = redis.call('HMGET', meta, 't', 'pause', 'rec', 'm:' .. nonce)
local now, now_text = tonumber(ARGV[1]), ARGV[1]
if not now then
  local time = redis.call('TIME')
  -- Microseconds have up to six digits, the first three of which are milliseconds.
  now_text = time[1] .. string.sub('00000' .. time[2], -6, -4)
  now = tonumber(now_text)
end
local pause, recovering = tonumber(known[2] or '0'), known[3]
local noted = {}
if known[1] then
  local seen = tonumber(known[1])
  if seen > now then
    now, now_text = seen, known[1]
  end
  local gap = tonumber(ARGV[2])
  if gap and now - seen > gap then
    -- Nobody was there to renew leases: that time does not count for them.
    pause = pause + now - seen - gap
    noted[1], noted[2] = 'pause', string.format('%.0f', pause)
  end
end
if known[1] ~= now_text then
  noted[#noted + 1] = 't'
  noted[#noted + 1] = now_text
end
local mark = tonumber(known[4] or '0')
if acked > mark and not recovering then
  -- This proxy was told of more than is here: the store has lost writes.
  recovering = now_text
  noted[#noted + 1] = 'rec'
  noted[#noted + 1] = recovering
end
-- Whether this call may change anything: a mutation that the mark has passed was done before.
local fresh = seq == '' or tonumber(seq) == mark + 1

local function note()
  if #noted > 0 then
    redis.call('HSET', meta, unpack(noted))
  end
end

if seq ~= '' and tonumber(seq) > mark + 1 then
  note()
  return {'gap', string.format('%.0f', mark)}
end
