-- Reserves a worst case, all or nothing. KEYS[5], if there is one, is the idempotency claim.
-- ARGV from 7 on: request, key's field, its revision as quoted, whether it may use the model, version of the
-- grants, lease, hash of the body, whether the quote is too large, the fixed part of the record; then segments
-- (count, least count, price, pool), names of grants in burn order, counters (field, start, end, ask, cap), each
-- after how many there are.
if recovering then
  if now - tonumber(recovering) < 10000 then
    note()
    return {'recovering'}
  end
  redis.call('HDEL', meta, 'rec')
  redis.call('DEL', meta .. ':replayed')
end

local id, key_field = ARGV[7], ARGV[8]
local place = 15
local function next_argument()
  place = place + 1
  return ARGV[place]
end

local segments, wanted, fields = {}, {}, {'balance', 'line', 'held', 'gv', key_field}
for number = 1, tonumber(next_argument()) do
  local segment = {given = next_argument(), least = integer(next_argument()), price = integer(next_argument())}
  segment.pool, segment.free = next_argument(), 0
  segment.count = integer(segment.given)
  segments[number] = segment
end
local names = {}
for number = 1, tonumber(next_argument()) do
  names[number] = next_argument()
  fields[#fields + 1] = 'g:' .. names[number]
end
for number = 1, tonumber(next_argument()) do
  local ask = {field = next_argument(), start = next_argument(), stop = next_argument()}
  ask.ask, ask.cap = next_argument(), integer(next_argument())
  ask.money = ask.ask == 'm'
  wanted[number] = ask
  fields[#fields + 1] = ask.field
end

local reaped = 0
if redis.call('EXISTS', wallet) == 0 then
  note()
  return {'key', 0}
end
reaped = reap()

local function refuse(word, ...)
  save()
  note()
  return {word, reaped, ...}
end

local before = redis.call('GET', request)
if before then
  if string.sub(before, 1, 1) ~= 'L' then
    return refuse('ended')
  end
  local until_ = tonumber(redis.call('ZSCORE', leases, id)) + pause
  return refuse('ok', digits(until_), before)
end

load(fields)
local revision, enabled, expires = string.match(state[key_field] or '', '^(%d+) (%d) (%S+)$')
if enabled ~= '1' or (expires ~= '-' and now >= tonumber(expires)) then
  return refuse('key')
end
if revision ~= ARGV[9] then
  return refuse('key changed')
end
if ARGV[10] ~= '1' then
  return refuse('model')
end
local claim_key, body = KEYS[5], ARGV[13]
if claim_key then
  local claim = claim_of(claim_key)
  if claim and claim.body ~= body then
    return refuse('other body')
  end
  if claim and claim.charged and now - claim.charged_at < CLAIM_MS then
    return refuse('charged', claim.charged)
  end
  local flying = claim and claim.flying and redis.call('GET', string.sub(request, 1, -33) .. claim.flying)
  if flying and string.sub(flying, 1, 1) == 'L' then
    return refuse('in flight')
  end
end
for _, ask in ipairs(wanted) do
  if ask.start ~= '' and (now < tonumber(ask.start) or now >= tonumber(ask.stop)) then
    return refuse('period', now_text)
  end
end
if state.gv ~= ARGV[11] then
  return refuse('grants')
end

-- Why not is for the proxy to say, from what stands here.
local function short()
  local found = {}
  for number, field in ipairs(fields) do
    found[number] = state[field] or ''
  end
  return refuse('short', now_text, found)
end
if ARGV[14] == '1' then
  return refuse('too large')
end

-- What grants have, by unit; saturated at the most that a request can come to.
local MOST = EXACT - 1
local grants, free = {}, {t = 0, i = 0, r = 0, m = 0}
for _, name in ipairs(names) do
  local grant = grant_of(state['g:' .. name])
  if grant.expires == '-' or now < tonumber(grant.expires) then
    grant.name = name
    grants[#grants + 1] = grant
    free[grant.unit] = least(add(free[grant.unit], left_of(grant)), MOST)
  end
end
local available = sub(add(integer(state.balance), integer(state.line)), integer(state.held))
if less(available, 0) then
  available = 0
end

local counters, spend_room = {}, MOST
for _, ask in ipairs(wanted) do
  local known = state[ask.field]
  if ask.money then
    local counter = known and counter_of(ask.field, known) or new_counter(ask.field, ask.cap)
    capped(counter, ask.cap)
    spend_room = least(spend_room, room(counter))
  end
end

-- Who pays: a grant of requests for all of it; else grants of tokens and images in burn order, then grants of
-- money, then the balance. Every product here, and their sum, is below 2^53.
local function paid(segment)
  return segment.price == 0 and 0 or segment.count - segment.free
end

local function cost()
  local sum = 0
  for _, segment in ipairs(segments) do
    if segment.price ~= 0 then
      sum = sum + paid(segment) * segment.price
    end
  end
  return sum
end

-- Lowers counts, the last segment's first, each by as little as it takes to cost at most so much.
local function shed(budget)
  local excess = cost() - budget
  for last = #segments, 1, -1 do
    local line = segments[last]
    local spare = line.price ~= 0 and line.count - line.least or 0
    for number = last, #segments do
      if excess <= 0 then
        return true
      end
      local payer = segments[number]
      local covers = number == last or (line.pool ~= '' and payer.pool == line.pool)
      if covers and payer.price ~= 0 then
        local rest_ = math.fmod(excess, payer.price)
        local enough = (excess - rest_) / payer.price + (rest_ > 0 and 1 or 0)
        local units = math.min(enough, paid(payer), spare)
        line.count = line.count - units
        if number > last then
          line.free = line.free - units
          payer.free = payer.free + units
        end
        spare = spare - units
        excess = excess - units * payer.price
      end
    end
  end
  return excess <= 0
end

local whole_request = false
local units = {t = 0, i = 0, r = 0, m = 0}
for _, segment in ipairs(segments) do
  if segment.price == 0 or (segment.pool ~= 't' and segment.pool ~= 'i') then
    segment.pool = ''
  end
  if segment.price ~= 0 and segment.count > 0 then
    whole_request = whole_request or free.r ~= 0
  end
end
local money = 0
if whole_request then
  units.r = 1
else
  local left = {t = free.t, i = free.i}
  for _, segment in ipairs(segments) do
    if segment.price ~= 0 then
      segment.least = least(segment.least, segment.count)
      if segment.pool ~= '' then
        segment.free = math.min(segment.count, left[segment.pool])
        left[segment.pool] = left[segment.pool] - segment.free
      end
    end
  end
  if not shed(least(add(free.m, available), MOST)) then
    return short()
  end
  shed(math.min(free.m + spend_room, MOST))
  local due = cost()
  units.m = math.min(due, free.m)
  money = due - units.m
  for _, segment in ipairs(segments) do
    if segment.pool ~= '' then
      units[segment.pool] = units[segment.pool] + segment.free
    end
  end
end

-- The limits, on what the hold came to. A counter that is named twice is asked twice.
local places, contents = {}, {}
for number, ask in ipairs(wanted) do
  local counter = counters[ask.field]
  if not counter then
    local known = state[ask.field]
    counter = known and counter_of(ask.field, known) or new_counter(ask.field, ask.cap)
    counters[ask.field] = counter
  end
  capped(counter, ask.cap)
  local need = ask.money and money or integer(ask.ask)
  if less(room(counter), need) then
    return short()
  end
  local part = occupy(counter, need)
  if not part then
    return refuse('too large')
  end
  places[number] = ask.field .. (ask.money and ' 1 ' or ' 0 ') .. text(part)
  contents[number] = content_of(counter)
end

-- Everything is decided: from here on nothing can fail.
local takes = {}
for _, unit in ipairs({'r', 't', 'i', 'm'}) do
  local left = units[unit]
  for _, grant in ipairs(grants) do
    if grant.unit == unit and left ~= 0 then
      local taken = least(left_of(grant), left)
      if taken ~= 0 then
        grant.held = add(grant.held, taken)
        left = sub(left, taken)
        put_grant('g:' .. grant.name, grant)
        takes[#takes + 1] = grant.name .. ' ' .. unit .. ' ' .. text(taken)
      end
    end
  end
end

local appeared = {}
for number, ask in ipairs(wanted) do
  if not state[ask.field] then
    appeared[#appeared + 1] = ask.field
  end
  put(ask.field, contents[number])
end
if money ~= 0 then
  put('held', text(add(integer(state.held), money)))
end
save()

-- When a period's counter appears, the same limit's counters of periods long over go. The field `o:` of a limit
-- lists those that there are.
for _, field in ipairs(appeared) do
  local prefix = string.find(field, '|p', 1, true) and string.match(field, '^(.*/)')
  if prefix then
    local kept = {}
    for other in string.gmatch(redis.call('HGET', wallet, 'o:' .. prefix) or '', '%S+') do
      local stop = tonumber(string.match(other, '|p%-?%d+%-(%-?%d+)$'))
      local content = redis.call('HGET', wallet, prefix .. other)
      if content and (stop + 86400000 > now or counter_of(prefix .. other, content).held ~= 0) then
        kept[#kept + 1] = other
      elseif content then
        redis.call('HDEL', wallet, prefix .. other)
      end
    end
    kept[#kept + 1] = string.sub(field, #prefix + 1)
    redis.call('HSET', wallet, 'o:' .. prefix, table.concat(kept, ' '))
  end
end

local counts = {}
for number, segment in ipairs(segments) do
  counts[number] = segment.price == 0 and segment.given or text(segment.count)
end
local until_ = now + tonumber(ARGV[12])
local record = table.concat({
  'L',
  text(money) .. ' ' .. now_text,
  table.concat(takes, ' '),
  table.concat(places, ' '),
  claim_key and claim_key .. ' ' .. body or '',
  state.balance .. ';' .. table.concat(counts, ' ') .. ';' .. table.concat(contents, ','),
  ARGV[15],
}, '\n')
redis.call('SET', request, record)
redis.call('ZADD', leases, digits(until_ - pause), id)
if claim_key then
  put_claim(claim_key, {body = body, flying = id, charged_at = 0, at = now})
end
note()
return {'ok', reaped, digits(until_), record}
