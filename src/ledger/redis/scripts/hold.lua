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
local fields = {'balance', 'line', 'held', 'gv', key_field}
local names = {}
-- Where the segments begin, and the last of them: four arguments each.
local SEGMENTS, LAST_SEGMENT = 17, 13 + 4 * ARGV[16]
local place = LAST_SEGMENT + 4
for number = 1, tonumber(ARGV[place]) do
  place = place + 1
  names[number] = ARGV[place]
  fields[#fields + 1] = 'g:' .. ARGV[place]
end
-- Where the first counter begins, and the last: five arguments each.
local FIRST = place + 2
local LAST = FIRST + 5 * (ARGV[FIRST - 1] - 1)
for ask = FIRST, LAST, 5 do
  fields[#fields + 1] = ARGV[ask]
end

load(fields)
if not state.balance then
  note()
  return {'key', 0}
end
local reaped = reap()

local function refuse(word, ...)
  save()
  note()
  return {word, reaped, ...}
end

local before = redis.call('GET', request)
if before then
  if slice(before, 1, 1) ~= 'L' then
    return refuse('ended')
  end
  local until_ = tonumber(redis.call('ZSCORE', leases, id)) + pause
  return refuse('ok', text(until_), before)
end

local revision, enabled, expires = match(state[key_field] or '', '^(%d+) (%d) (%S+)$')
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
for ask = FIRST, LAST, 5 do
  local start, stop = ARGV[ask + 1], ARGV[ask + 2]
  if start ~= '' and (now < tonumber(start) or now >= tonumber(stop)) then
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
local MOST = 2^53 - 1
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

-- The counter of a field as it stands, under the cap that is asked now; for any numbers.
local function exact_counter(field, known, cap)
  local counters = counters()
  if not known then
    return counters.from(field, cap, '0', nil, now), counters
  end
  local counter = counters.of(field, known)
  if counter.cap ~= cap then
    counters.set_cap(counter, cap)
  end
  return counter, counters
end

-- What an ask occupies of a counter, and the counter's content then; or else why not.
local function occupied_exactly(field, known, cap, need)
  local counter, counters = exact_counter(field, known, cap)
  local left = counters.room(counter)
  if left and less(left, need) then
    return 'short'
  end
  local part = counter.refill and least(need, counter.size) or need
  local held = add(integer(counter.held), part)
  if wide[held] and less(of_pairs().U64_MAX, held) then
    -- Live holds would have more than 64 bits of a bucket.
    return 'too large'
  end
  counter.held = text(held)
  counters.shift(counter, 0, part)
  return part, counters.content(counter)
end

-- The same, by plain arithmetic where that is exact.
local function occupied(field, known, cap, need)
  local had, held, used, at = match(known or '', CONTENT)
  if had ~= cap or wide[need] then
    return occupied_exactly(field, known, cap, need)
  end
  local size, taken = cap + 0, held + need
  if at == '' then
    local spent = taken + used
    if size + spent < 2^53 then
      if need > 0 and size < spent then
        return 'short'
      end
      return need, cap .. ' ' .. text(taken) .. ' ' .. used
    end
  elseif taken < 2^53 then
    local refill = refill_of(field)
    local high, low, full_high, full_low = refilled(size, used, at, refill)
    if high then
      local part = need < size and need or size
      local take_high, take_low = product(need, refill)
      local is_full = high == full_high and low == full_low and size > 0
      if not is_full and (take_high > high or (take_high == high and take_low > low)) then
        return 'short'
      end
      if part ~= need then
        taken = held + part
        take_high, take_low = product(part, refill)
      end
      high, low = high - take_high, low - take_low
      if low < 0 then
        high, low = high - 1, low + 1e9
      end
      at = at + 0 > now and at or now_text
      return part, cap .. ' ' .. text(taken) .. ' ' .. level_text(high, low) .. ' ' .. at
    end
  end
  return occupied_exactly(field, known, cap, need)
end

-- What a limit of money leaves, of what a request can come to.
local function money_room(field, cap)
  local known = state[field]
  local had, held, used, at = match(known or '', CONTENT)
  if had == cap and at == '' and cap + used + held < 2^53 then
    local left = cap - used - held
    return left > 0 and left or 0
  elseif had == cap and at ~= '' then
    local refill = refill_of(field)
    local high, low, full_high, full_low = refilled(cap + 0, used, at, refill)
    if high and (high ~= full_high or low ~= full_low) then
      local left = math.fmod(high, refill)
      local carry = left * 1e9 + low
      return (high - left) / refill * 1e9 + (carry - math.fmod(carry, refill)) / refill
    elseif high and cap ~= '0' then
      return MOST
    end
  end
  local counter, counters = exact_counter(field, known, cap)
  return least(counters.room(counter) or MOST, MOST)
end

local spend_room = MOST
for ask = FIRST, LAST, 5 do
  if ARGV[ask + 3] == 'm' then
    spend_room = math.min(spend_room, money_room(ARGV[ask], ARGV[ask + 4]))
  end
end

-- Who pays: a grant of requests for all of it; else grants of tokens and images in burn order, then grants of
-- money, then the balance. Every product here, and their sum, is below 2^53.
local units = {t = 0, i = 0, r = 0, m = 0}
local due, money = 0, 0
local segments

-- Goes through the segments one by one: takes from grants, and lowers counts as far as it has to and may. Answers whether
-- what is due then can be paid.
local function fit(affordable, within_limits)
  segments = {}
  for place = SEGMENTS, LAST_SEGMENT, 4 do
    local count = ARGV[place]
    segments[#segments + 1] = {
      given = count, count = integer(count), free = 0,
      least = integer(ARGV[place + 1]), price = integer(ARGV[place + 2]), pool = ARGV[place + 3],
    }
  end

  local function paid(segment)
    return segment.price == 0 and 0 or segment.count - segment.free
  end

  -- Takes tokens and images from grants, in burn order.
  local function burn()
    local left = {t = free.t, i = free.i}
    for _, segment in ipairs(segments) do
      local pool = segment.pool
      if segment.price == 0 or (pool ~= 't' and pool ~= 'i') then
        segment.pool = ''
      else
        segment.free = math.min(segment.count, left[pool])
        left[pool] = left[pool] - segment.free
        due = due - segment.free * segment.price
      end
    end
  end

  -- Lowers counts, the last segment's first, each by as little as it takes for what is due to be at most so much.
  local function shed(budget)
    local excess = due - budget
    for last = #segments, 1, -1 do
      local line = segments[last]
      local spare = line.price ~= 0 and line.count - least(line.least, line.count) or 0
      for number = last, spare > 0 and #segments or 0 do
        local payer = segments[number]
        local covers = number == last or (line.pool ~= '' and payer.pool == line.pool)
        if covers and payer.price ~= 0 and excess > 0 then
          local rest_ = math.fmod(excess, payer.price)
          local enough = (excess - rest_) / payer.price + (rest_ > 0 and 1 or 0)
          local units = math.min(enough, paid(payer), spare)
          line.count = line.count - units
          line.given = text(line.count)
          if number > last then
            line.free = line.free - units
            payer.free = payer.free + units
          end
          spare = spare - units
          excess = excess - units * payer.price
        end
      end
    end
    due = budget + excess
    return excess <= 0
  end

  burn()
  if not shed(affordable) then
    return false
  end
  shed(within_limits)
  for _, segment in ipairs(segments) do
    if segment.free ~= 0 then
      units[segment.pool] = units[segment.pool] + segment.free
    end
  end
  return true
end

local function is_paid()
  for place = SEGMENTS, LAST_SEGMENT, 4 do
    if ARGV[place + 2] ~= '0' and ARGV[place] ~= '0' then
      return true
    end
  end
end

local affordable = least(add(free.m, available), MOST)
local within_limits = math.min(free.m + spend_room, MOST)
for place = SEGMENTS, LAST_SEGMENT, 4 do
  local price = ARGV[place + 2]
  if price ~= '0' then
    due = due + ARGV[place] * price
  end
end
if free.r ~= 0 and is_paid() then
  units.r = 1
else
  local is_plain = not grants[1] and due <= affordable and due <= within_limits
  if not is_plain and not fit(affordable, within_limits) then
    return short()
  end
  units.m = math.min(due, free.m)
  money = due - units.m
end

-- The limits, on what the hold came to. A counter that is named twice is asked twice.
local money_text = text(money)
local places, contents, appeared, latest = {}, {}, {}, {}
for ask = FIRST, LAST, 5 do
  local field, need_text = ARGV[ask], ARGV[ask + 3]
  local known, need, kind = latest[field] or state[field], money, ' 1 '
  if not known then
    appeared[#appeared + 1] = field
  end
  if need_text == 'm' then
    need_text = money_text
  else
    need, kind = integer(need_text), ' 0 '
  end
  local part, content = occupied(field, known, ARGV[ask + 4], need)
  if part == 'short' then
    return short()
  elseif part == 'too large' then
    return refuse('too large')
  end
  local number = #contents + 1
  places[number] = field .. kind .. (part == need and need_text or text(part))
  contents[number], latest[field] = content, content
end

-- Everything is decided: from here on nothing can fail.
local takes = {}
if grants[1] then
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
end

for number = 1, #contents do
  put(ARGV[FIRST + 5 * number - 5], contents[number])
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
      if content and (stop + 86400000 > now or counters().of(prefix .. other, content).held ~= '0') then
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
for place = SEGMENTS, LAST_SEGMENT, 4 do
  local number = #counts + 1
  counts[number] = segments and segments[number].given or ARGV[place]
end
local until_ = now + tonumber(ARGV[12])
local until_text = text(until_)
local record = 'L\n' .. money_text .. ' ' .. now_text .. '\n'
  .. table.concat(takes, ' ') .. '\n'
  .. table.concat(places, ' ') .. '\n'
  .. (claim_key and claim_key .. ' ' .. body or '') .. '\n'
  .. state.balance .. ';' .. table.concat(counts, ' ') .. ';' .. table.concat(contents, ',') .. '\n'
  .. ARGV[15]
redis.call('SET', request, record)
redis.call('ZADD', leases, pause == 0 and until_text or text(until_ - pause), id)
if claim_key then
  put_claim(claim_key, {body = body, flying = id, charged_at = 0, at = now})
end
note()
return {'ok', reaped, until_text, record}
