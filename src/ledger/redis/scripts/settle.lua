-- Replaces a hold by its charge, once. KEYS[5] is the stream of receipts, KEYS[6] the wallet's totals, KEYS[7] the
-- partition's pending objects (not in calls of before there were any).
-- ARGV from 7 on: request, wallet, record (of a hold that the store may have lost), priced (empty: only to be told
-- how it was settled), free tokens, images, requests; the fixed part of the receipt; key and model of the totals, and how far local days are ahead of
-- UTC, in milliseconds; how many receipts the partition may have; then the amounts for counters and the meters
-- (name, count), each after how many there are.
local id = ARGV[7]
local place = 17
local function next_argument()
  place = place + 1
  return ARGV[place]
end
local amounts, meters = {}, {}
for number = 1, tonumber(next_argument()) do
  amounts[number] = next_argument()
end
for number = 1, tonumber(next_argument()) do
  meters[number] = {next_argument(), integer(next_argument())}
end

-- What is told of a charge: how it came out, and how things stand now.
local function tell(word, decided, fields, names, receipt)
  local list, counters, grants = {'balance'}, {}, {}
  for _, field in ipairs(fields) do
    list[#list + 1] = field
  end
  for _, name in ipairs(names) do
    list[#list + 1] = 'g:' .. name
  end
  load(list)
  for number, field in ipairs(fields) do
    counters[number] = state[field] or ''
  end
  for _, name in ipairs(names) do
    grants[#grants + 1] = name
    grants[#grants + 1] = state['g:' .. name] or ''
  end
  return {word, 0, now_text, state.balance, decided, fields, counters, grants, receipt}
end

local content = redis.call('GET', request)
local phase = content and string.sub(content, 1, 1)
if phase == 'S' then
  local entry, fields, names = string.match(content, '^S (%S+)\n([^\n]*)\n([^\n]*)$')
  local function words(line)
    local list = {}
    for word in string.gmatch(line, '%S+') do
      list[#list + 1] = word
    end
    return list
  end
  local found = redis.call('XRANGE', KEYS[5], entry, entry)[1]
  if not found then
    return finish({'folded', 0})
  end
  local pairs_ = found[2]
  return finish(tell('ok', pairs_[8], words(fields), words(names), pairs_[6]))
end
if not fresh then
  note()
  return {'done', 0}
end
if ARGV[10] == '' then
  -- Only asked how it was settled: it was not.
  note()
  return {phase == 'V' and 'voided' or 'no hold', 0}
end
if phase == 'V' then
  return finish({'voided', 0})
end
if redis.call('EXISTS', wallet) == 0 then
  return finish_without({'no wallet', 0}, ARGV[9] ~= '')
end
if not content and ARGV[9] == '' then
  return finish({'no hold', 0})
end

local held = content and string.match(content, '\n.*')
if held and ARGV[9] ~= '' and held ~= string.match(ARGV[9], '\n.*') then
  -- The proxy did not hear of this hold, and admitted the request by a record of its own: what was held is given
  -- back, and the charge is late.
  if phase == 'L' then
    redis.call('ZREM', leases, id)
    release(record_of(content), id)
  end
  content, phase = nil, nil
end
local late = phase ~= 'L'
local record = record_of(content or ARGV[9])
load_record(record)

local function fits(sum)
  return not less(I64_MAX, sum)
end

-- What grants and money pay: at most what was held, and of a lapsed hold at most what is there.
local priced = integer(ARGV[10])
local due = {t = integer(ARGV[11]), i = integer(ARGV[12]), r = integer(ARGV[13]), m = priced}
local burned, free = {}, {t = 0, i = 0, r = 0, m = 0}
for number, take in ipairs(record.takes) do
  local units = least(take.units, due[take.unit])
  if late then
    units = state[take.field] and least(units, left_of(grant_of(state[take.field]))) or 0
  end
  due[take.unit] = sub(due[take.unit], units)
  free[take.unit] = add(free[take.unit], units)
  burned[number] = units
end
local charged = least(due.m, record.money)
if late then
  local there = sub(add(integer(state.balance), integer(state.line)), integer(state.held))
  if less(there, 0) then
    there = 0
  end
  for _, part in ipairs(record.parts) do
    if part.money and state[part.field] then
      local counter = counter_of(part.field, state[part.field])
      if counter.kind == 't' or counter.kind == 'p' then
        there = least(there, room(counter))
      end
    end
  end
  charged = least(charged, there)
end
local shortfall = sub(due.m, charged)
local charged_sum = add(integer(state.charged), charged)
local shortfall_sum = add(integer(state.shortfall), shortfall)
if not fits(charged_sum) or not fits(shortfall_sum) then
  return finish({'too much', 0})
end

-- Everything is decided: from here on nothing can fail.
local pending = redis.call('HGET', waiting, id)
if pending then
  settle_object(id, pending)
end
put('balance', text(sub(integer(state.balance), charged)))
put('charged', text(charged_sum))
put('shortfall', text(shortfall_sum))
if not late then
  put('held', text(sub(integer(state.held), record.money)))
end
local names = {}
for number, take in ipairs(record.takes) do
  if state[take.field] then
    local grant = grant_of(state[take.field])
    if not late then
      grant.held = rest(grant.held, take.units)
    end
    if burned[number] ~= 0 then
      grant.used = add(grant.used, burned[number])
      names[#names + 1] = take.name
    end
    put_grant(take.field, grant)
  end
end
local fields = {}
for number, part in ipairs(record.parts) do
  fields[number] = part.field
  local known = state[part.field]
  if known then
    local counter = counter_of(part.field, known)
    local actual = part.money and charged or (amounts[number] and integer(amounts[number]) or part.held)
    if late then
      count_late(counter, part.held, actual)
    else
      count(counter, part.held, actual)
    end
    put(part.field, content_of(counter))
  end
end

local claim_key, body = string.match(record.claim, '^(%S+) (%S+)$')
local claim = claim_key and claim_of(claim_key)
if claim_key and (not claim or claim.body == body) then
  local flying = claim and claim.flying
  put_claim(claim_key, {
    body = body,
    flying = flying and flying ~= id and flying or nil,
    charged = id,
    charged_at = now,
    at = now,
  })
end

local decided = table.concat({
  text(charged), text(free.m), text(shortfall), text(free.t), text(free.i), text(free.r),
  late and '1' or '0', now_text,
}, ' ')
local added = {now_text .. '-*', 'w', ARGV[8], 'q', id, 'r', ARGV[14], 'd', decided}
if claim_key then
  -- Its receipt answers repeats as long as the claim does.
  added[10], added[11] = 'c', '1'
end
local entry = redis.call('XADD', KEYS[5], unpack(added))
local answer = tell('ok', decided, fields, names, '')
redis.call('SET', request,
  'S ' .. entry .. '\n' .. table.concat(fields, ' ') .. '\n' .. table.concat(names, ' '), 'PX', ENDED_MS)
if phase == 'L' then
  redis.call('ZREM', leases, id)
end

-- The totals of the day, key and model.
local totals = {}
local day = string.format('%.0f|', math.floor((now + tonumber(ARGV[16])) / 86400000)) .. ARGV[15]
for name, sum in string.gmatch(redis.call('HGET', KEYS[6], day) or '', '(%S+)=(%d+)') do
  totals[#totals + 1] = name
  totals[name] = integer(sum)
end
local function total(name, amount)
  if amount == 0 then
    return
  end
  if not totals[name] then
    totals[#totals + 1] = name
    totals[name] = 0
  end
  totals[name] = least(add(totals[name], amount), U64_MAX)
end
total('n', 1)
total('charged', charged)
total('shortfall', shortfall)
total('free_money', free.m)
total('free_tokens', free.t)
total('free_images', free.i)
total('free_requests', free.r)
for _, meter in ipairs(meters) do
  total(meter[1], meter[2])
end
for number, name in ipairs(totals) do
  totals[number] = name .. '=' .. text(totals[name])
end
redis.call('HSET', KEYS[6], day, table.concat(totals, ' '))

answer[2] = reap()
save()
local told = finish(answer)

-- A partition that has more receipts than its share folds the oldest faster than they come.
local beyond = math.min(redis.call('XLEN', KEYS[5]) - tonumber(ARGV[17]), 2)
if beyond > 0 and not is_still() then
  local going = {}
  for _, oldest in ipairs(redis.call('XRANGE', KEYS[5], '-', '+', 'COUNT', 8)) do
    if #going < beyond and may_go(oldest) then
      going[#going + 1] = oldest
    end
  end
  fold(KEYS[5], going)
end
return told
