-- A wallet's hash, read once and written once, and how what a hold reserved is given back.
-- KEYS[2] is the wallet, KEYS[3] its leases, KEYS[4] a request.
local wallet, leases, request = KEYS[2], KEYS[3], KEYS[4]
-- What is only handed to the store is text: a number would be made into one, each time.
local ENDED_MS, REAPED_MAX, REAPED_TEXT = '90000000', 16, '16'
local RELEASED_MAX, FIELDS_MAX = 1000, 1000
-- The wallet's fields as they are, `false` for one that is not there; and those that are to be written, each followed
-- by its content. They begin with room for what most calls need: a table that grows is made anew each time.
local state = {balance = nil, line = nil, held = nil, charged = nil, shortfall = nil}
local changes, changed = {nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil}, 0

local function load(fields)
  local found = redis.call('HMGET', wallet, unpack(fields))
  for place = 1, #fields do
    local field = fields[place]
    if state[field] == nil then
      state[field] = found[place]
    end
  end
end

local function put(field, content)
  if state[field] ~= content then
    state[field] = content
    changes[changed + 1], changes[changed + 2] = field, content
    changed = changed + 2
  end
end

local function save()
  for first = 1, changed, FIELDS_MAX do
    redis.call('HSET', wallet, unpack(changes, first, math.min(first + FIELDS_MAX - 1, changed)))
  end
  changes, changed = {}, 0
end

local function grant_of(content)
  local unit, amount, expires, used, held = match(content, '^(%a) (%d+) (%S+) (%d+) (%d+)$')
  return {unit = unit, amount = amount, expires = expires, used = integer(used), held = integer(held)}
end

local function put_grant(field, grant)
  put(field, table.concat({grant.unit, grant.amount, grant.expires, text(grant.used), text(grant.held)}, ' '))
end

local function left_of(grant)
  return rest(rest(integer(grant.amount), grant.used), grant.held)
end

-- The record of a hold: how it stands, money and time, what it took of grants, what it occupies of counters, its
-- idempotency claim, what was answered, and what only proxies read. A line each.
local function record_of(content)
  local money, at = match(content, '^[^\n]*\n(%d+) %-?%d+\n()')
  local takes, parts = {}, {}
  local line_end = find(content, '\n', at, true)
  while at < line_end do
    local name, unit, units, next_ = match(content, '^(%S+) (%a) (%d+)[ \n]()', at)
    takes[#takes + 1] = {field = 'g:' .. name, name = name, unit = unit, units = integer(units)}
    at = next_
  end
  at = line_end + 1
  line_end = find(content, '\n', at, true)
  while at < line_end do
    local blank = find(content, ' ', at, true)
    local money_, held, next_ = match(content, '^(%d) (%d+)[ \n]()', blank + 1)
    parts[#parts + 1] = {field = slice(content, at, blank - 1), money = money_ == '1', held = integer(held)}
    at = next_
  end
  at = line_end + 1
  local claim = slice(content, at, find(content, '\n', at, true) - 1)
  return {money = integer(money), takes = takes, parts = parts, claim = claim}
end

local function load_record(record)
  local fields = {'balance', 'line', 'held', 'charged', 'shortfall'}
  for _, take in ipairs(record.takes) do
    fields[#fields + 1] = take.field
  end
  for _, part in ipairs(record.parts) do
    fields[#fields + 1] = part.field
  end
  load(fields)
end

-- A claim's key and body: body, who is in flight, who was charged and when, when it last ended.
local function claim_of(key)
  local content = redis.call('GET', key)
  if not content then
    return nil
  end
  local body, flying, charged, charged_at, at = string.match(content, '^(%S+) (%S+) (%S+) (-?%d+) (-?%d+)$')
  local claim = {body = body, charged_at = tonumber(charged_at), at = tonumber(at)}
  claim.flying = flying ~= '-' and flying
  claim.charged = charged ~= '-' and charged
  if not claim.flying and now - claim.at >= CLAIM_MS then
    return nil
  end
  return claim
end

local function put_claim(key, claim)
  local list = {claim.body, claim.flying or '-', claim.charged or '-'}
  list[4] = string.format('%.0f', claim.charged_at)
  list[5] = string.format('%.0f', claim.at)
  if claim.flying then
    redis.call('SET', key, table.concat(list, ' '))
  else
    redis.call('SET', key, table.concat(list, ' '), 'PX', ENDED_MS)
  end
end

-- What gives back all that a live hold reserved. Made when it is called for: most calls release nothing.
local function releasing()
  local counters = counters()

  -- A request that claimed this ended without a charge. Of claims that are known by their body only, a wallet
  -- keeps so many, so that failing requests cannot fill the store.
  local function release_claim(line, id)
    local key = string.match(line, '^(%S+) ')
    -- Where it cannot be read now, a later hold under it finds out that nobody is in flight.
    local readable = key and not (type(redis.pcall('GET', key)) == 'table')
    local claim = readable and claim_of(key)
    if not claim or claim.flying ~= id then
      return
    end
    claim.flying, claim.at = nil, now
    if not claim.charged then
      local list = leases .. '|released'
      if redis.call('LLEN', list) >= RELEASED_MAX then
        for _ = 1, REAPED_MAX do
          local oldest = redis.call('LINDEX', list, 0)
          local other = oldest and claim_of(oldest)
          if not oldest or (other and not other.flying and not other.charged) then
            break
          end
          redis.call('LPOP', list)
        end
        if redis.call('LLEN', list) >= RELEASED_MAX then
          redis.call('DEL', key)
          return
        end
      end
      redis.call('RPUSH', list, key)
      redis.call('PEXPIRE', list, ENDED_MS)
    end
    put_claim(key, claim)
  end

  local function give_back(counter, part)
    counter.held = text(rest(integer(counter.held), part))
    counters.shift(counter, part, 0)
  end

  -- Gives back all that a live hold reserved, its claim included.
  local function release(record, id)
    load_record(record)
    put('held', text(sub(integer(state.held), record.money)))
    for _, take in ipairs(record.takes) do
      if state[take.field] then
        local grant = grant_of(state[take.field])
        grant.held = rest(grant.held, take.units)
        put_grant(take.field, grant)
      end
    end
    for _, part in ipairs(record.parts) do
      if state[part.field] then
        local counter = counters.of(part.field, state[part.field])
        give_back(counter, part.held)
        put(part.field, counters.content(counter))
      end
    end
    release_claim(record.claim, id)
  end

  return release
end

-- Ends holds whose leases ran out: releases all they reserved, and charges nothing. Answers how many.
-- Their records are not among the declared keys. Where one cannot be read (its slot is moving to another node), the
-- hold keeps its lease and ends later.
local function reap()
  local until_ = pause == 0 and now_text or text(now - pause)
  local due = redis.call('ZRANGEBYSCORE', leases, '-inf', until_, 'LIMIT', '0', REAPED_TEXT)
  local reaped = 0
  if #due == 0 then
    return reaped
  end
  local prefix, release = slice(request, 1, -33), releasing()
  for _, id in ipairs(due) do
    local content = redis.pcall('GET', prefix .. id)
    if type(content) == 'string' and slice(content, 1, 1) == 'L' then
      local record = record_of(content)
      redis.call('ZREM', leases, id)
      release(record, id)
      local body = slice(content, find(content, '\n', 1, true), -1)
      redis.call('SET', prefix .. id, 'P ' .. now_text .. body, 'PX', ENDED_MS)
      reaped = reaped + 1
    elseif type(content) ~= 'table' then
      redis.call('ZREM', leases, id)
    end
  end
  return reaped
end
