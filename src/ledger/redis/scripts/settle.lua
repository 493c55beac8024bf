-- Replaces a hold by its charge, once. KEYS[5] is the stream of receipts, KEYS[6] the wallet's totals, KEYS[7] the
-- partition's pending objects (not in calls of before there were any).
-- ARGV from 7 on: request, wallet, record (of a hold that the store may have lost), priced (empty: only to be told
-- how it was settled), free tokens, images, requests; the fixed part of the receipt; key and model of the totals, and
-- how far local days are ahead of UTC, in milliseconds; how many receipts the partition may have; then the amounts for
-- counters and the meters (name, count), each after how many there are.
local id, sent = ARGV[7], ARGV[9]
-- Where the amounts begin, and the meters after them.
local AMOUNTS = 19
local amount_count = tonumber(ARGV[AMOUNTS - 1])
local METERS = AMOUNTS + amount_count + 1

-- What is told of a charge: how it came out, and how things stand now.
local function tell(word, decided, fields, names, receipt)
  local counters, grants = {}, {}
  for number = 1, #fields do
    counters[number] = state[fields[number]] or ''
  end
  for number, name in ipairs(names) do
    grants[2 * number - 1] = name
    grants[2 * number] = state['g:' .. name] or ''
  end
  return {word, 0, now_text, state.balance, decided, fields, counters, grants, receipt}
end

-- How a request was settled before, by its record.
local function settled_before(content)
  local entry, field_line, name_line = match(content, '^S (%S+)\n([^\n]*)\n([^\n]*)$')
  local found = redis.call('XRANGE', KEYS[5], entry, entry)[1]
  if not found then
    return {'folded', 0}
  end
  local fields, names, list = {}, {}, {'balance'}
  for field in string.gmatch(field_line, '%S+') do
    fields[#fields + 1] = field
    list[#list + 1] = field
  end
  for name in string.gmatch(name_line, '%S+') do
    names[#names + 1] = name
    list[#list + 1] = 'g:' .. name
  end
  load(list)
  local pairs_ = found[2]
  return tell('ok', pairs_[8], fields, names, pairs_[6])
end

local content = redis.call('GET', request)
local phase = content and slice(content, 1, 1)
if phase == 'S' then
  return finish(settled_before(content))
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
local record
if content or sent ~= '' then
  record = record_of(sent ~= '' and sent or content)
  load_record(record)
else
  load({'balance'})
end
if not state.balance then
  return finish_without({'no wallet', 0}, sent ~= '')
end
if not record then
  return finish({'no hold', 0})
end

-- What a record says after its phase.
local function body_of(text)
  return slice(text, find(text, '\n', 1, true), -1)
end

if content and sent ~= '' and content ~= sent and body_of(content) ~= body_of(sent) then
  -- The proxy did not hear of this hold, and admitted the request by a record of its own: what was held is given
  -- back, and the charge is late.
  if phase == 'L' then
    redis.call('ZREM', leases, id)
    releasing()(record_of(content), id)
  end
  phase = nil
end
local late = phase ~= 'L'

local function fits(sum)
  return not (wide[sum] and less(of_pairs().I64_MAX, sum))
end

-- What replaces a counter's content, exact for any numbers. A request whose hold had lapsed counts as at most what it had
-- occupied, and what there is room for; any other as at most what it occupied. Buckets take whatever it came to.
local function counted_exactly(field, known, part, actual)
  local counters = counters()
  local counter = counters.of(field, known)
  local function use_up(amount)
    if counter.kind == 't' or counter.kind == 'p' then
      counter.used = text(at_most('U64_MAX', add(integer(counter.used), amount)))
    end
  end
  if late then
    local left = counters.room(counter)
    counters.shift(counter, 0, actual)
    if left then
      use_up(least(least(actual, part), left))
    end
  else
    counter.held = text(rest(integer(counter.held), part))
    counters.shift(counter, part, actual)
    use_up(least(actual, part))
  end
  return counters.content(counter)
end

-- The same, by plain arithmetic where that is exact.
local function counted(field, known, part, actual)
  local cap, held, used, at = match(known, CONTENT)
  local before = held + 0
  if late or wide[part] or wide[actual] or before + part + actual >= 2^53 then
    return counted_exactly(field, known, part, actual)
  end
  local rest_ = before - part
  held = text(rest_ > 0 and rest_ or 0)
  if at == '' then
    if find(field, '|c', 1, true) then
      return cap .. ' ' .. held .. ' ' .. used
    end
    local sum = used + (actual < part and actual or part)
    if sum < 2^53 then
      return cap .. ' ' .. held .. ' ' .. text(sum)
    end
  else
    local refill = refill_of(field)
    local high, low, full_high, full_low = refilled(cap + 0, used, at, refill)
    if high then
      local back_high, back_low = product(part - actual, refill)
      high, low = high + back_high, low + back_low
      if low >= 1e9 then
        high, low = high + 1, low - 1e9
      end
      if high > full_high or (high == full_high and low > full_low) then
        high, low = full_high, full_low
      end
    end
    if high and high >= 0 then
      at = at + 0 > now and at or now_text
      return cap .. ' ' .. held .. ' ' .. level_text(high, low) .. ' ' .. at
    end
  end
  return counted_exactly(field, known, part, actual)
end

-- What grants and money pay: at most what was held, and of a lapsed hold at most what is there.
local priced = integer(ARGV[10])
local free, burned = {t = 0, i = 0, r = 0, m = 0}, {}
if record.takes[1] then
  local due = {t = integer(ARGV[11]), i = integer(ARGV[12]), r = integer(ARGV[13]), m = priced}
  for number, take in ipairs(record.takes) do
    local units = least(take.units, due[take.unit])
    if late then
      units = state[take.field] and least(units, left_of(grant_of(state[take.field]))) or 0
    end
    due[take.unit] = sub(due[take.unit], units)
    free[take.unit] = add(free[take.unit], units)
    burned[number] = units
  end
  priced = due.m
end
local charged = least(priced, record.money)
if late then
  local there = sub(add(integer(state.balance), integer(state.line)), integer(state.held))
  if less(there, 0) then
    there = 0
  end
  for _, part in ipairs(record.parts) do
    if part.money and state[part.field] then
      local counter = counters().of(part.field, state[part.field])
      if counter.kind == 't' or counter.kind == 'p' then
        there = least(there, counters().room(counter))
      end
    end
  end
  charged = least(charged, there)
end
local shortfall = sub(priced, charged)
local charged_sum = add(integer(state.charged), charged)
local shortfall_sum = add(integer(state.shortfall), shortfall)
if not fits(charged_sum) or not fits(shortfall_sum) then
  return finish({'too much', 0})
end

-- Everything is decided: from here on nothing can fail.
local pending = redis.call('HGET', waiting, id)
if pending then
  objects().settle(id, pending)
end
if charged ~= 0 then
  put('balance', text(sub(integer(state.balance), charged)))
  put('charged', text(charged_sum))
end
if shortfall ~= 0 then
  put('shortfall', text(shortfall_sum))
end
if not late and record.money ~= 0 then
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
  local field = part.field
  fields[number] = field
  local known = state[field]
  if known then
    local actual = charged
    if not part.money then
      actual = number <= amount_count and integer(ARGV[AMOUNTS + number - 1]) or part.held
    end
    put(field, counted(field, known, part.held, actual))
  end
end

local claim_key, body
if record.claim ~= '' then
  claim_key, body = match(record.claim, '^(%S+) (%S+)$')
end
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

local charged_text, shortfall_text = text(charged), text(shortfall)
local decided = charged_text .. ' ' .. text(free.m) .. ' ' .. shortfall_text .. ' '
  .. text(free.t) .. ' ' .. text(free.i) .. ' ' .. text(free.r) .. (late and ' 1 ' or ' 0 ') .. now_text
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

-- The totals of the day, key and model: names in the order in which they came up, and their sums as text.
local day = format('%d|', math.floor((now + tonumber(ARGV[16])) / 86400000)) .. ARGV[15]
local totals, sums = {}, {}
for name, sum in string.gmatch(redis.call('HGET', KEYS[6], day) or '', '(%S-)=(%d+)') do
  totals[#totals + 1] = name
  sums[name] = sum
end
local function total(name, amount)
  if amount == 0 then
    return
  end
  local sum = sums[name]
  if not sum then
    totals[#totals + 1] = name
    sum = 0
  end
  if wide[amount] or sum + amount >= 2^53 then
    sums[name] = text(at_most('U64_MAX', add(integer(sum), amount)))
  else
    sums[name] = text(sum + amount)
  end
end
total('n', 1)
total('charged', charged)
total('shortfall', shortfall)
total('free_money', free.m)
total('free_tokens', free.t)
total('free_images', free.i)
total('free_requests', free.r)
for place = METERS, METERS + 2 * ARGV[METERS - 1] - 2, 2 do
  total(ARGV[place], integer(ARGV[place + 1]))
end
for number, name in ipairs(totals) do
  totals[number] = name .. '=' .. sums[name]
end
redis.call('HSET', KEYS[6], day, table.concat(totals, ' '))

answer[2] = reap()
save()
local told = finish(answer)

-- A partition that has more receipts than its share folds the oldest faster than they come.
local beyond = math.min(redis.call('XLEN', KEYS[5]) - ARGV[17], 2)
if beyond > 0 then
  local fold, _, is_still, oldest_that_may_go = folding()
  if not is_still() then
    fold(KEYS[5], oldest_that_may_go(KEYS[5], beyond))
  end
end
return told
