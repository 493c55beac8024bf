-- What every call begins with: the partition's time, the marks of journals, and whether writes were lost.
-- KEYS[1] is the partition's own hash. ARGV[1..6]: clock, gap, nonce, seq, acked, replay.
local meta = KEYS[1]
-- How long an idempotency claim answers repeats.
local CLAIM_MS = 86400000
-- How long a partition in recovery is spoken to by nobody, where nobody recovers it.
local DESERTED_MS = 3000
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
if recovering and known[1] and now - tonumber(known[1]) > DESERTED_MS then
  -- Whoever recovers it asks more often than that. So this is a store that was away since, or an older copy of one that
  -- was being recovered when it was made: nobody has replayed here, and the time to do so begins now.
  recovering = now_text
  noted[#noted + 1] = 'rec'
  noted[#noted + 1] = recovering
  redis.call('DEL', meta .. ':replayed')
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

-- Ends a call that was carried out, or that cannot be, now or ever: the mark moves. What was sent again from a
-- journal and cannot be carried out is put aside for the operator.
local function finish(reply)
  if seq ~= '' and fresh then
    noted[#noted + 1] = 'm:' .. nonce
    noted[#noted + 1] = seq
    if ARGV[6] == '1' and reply[1] ~= 'ok' then
      local suspended = string.sub(meta, 1, -5) .. 'z'
      redis.call('RPUSH', suspended, table.concat({nonce, seq, now_text, unpack(reply)}, ' '))
    end
  end
  note()
  return reply
end

-- Ends a call that lacks its wallet. While the partition recovers, another journal may have to bring the wallet
-- back first: then this is as if others came before it. A wallet that `was_there` is proof of lost writes, which the
-- partition has ten seconds to recover from; not again within ten minutes, so that one that never comes back holds up
-- nobody.
local function finish_without(reply, was_there)
  if was_there and not recovering then
    local lacked = tonumber(redis.call('HGET', meta, 'lacked'))
    if not lacked or now - lacked > 600000 then
      recovering = string.format('%.0f', now)
      for _, word in ipairs({'rec', recovering, 'lacked', recovering}) do
        noted[#noted + 1] = word
      end
    end
  end
  if seq ~= '' and recovering and now - tonumber(recovering) < 10000 then
    note()
    return {'gap', string.format('%.0f', mark)}
  end
  return finish(reply)
end

if seq ~= '' and tonumber(seq) > mark + 1 then
  note()
  return {'gap', string.format('%.0f', mark)}
end
