-- A wallet's hash, read once and written once, and how what a hold reserved is given back.
-- KEYS[2] is the wallet, KEYS[3] its leases, KEYS[4] a request.
local wallet, leases, request = KEYS[2], KEYS[3], KEYS[4]
local ENDED_MS, REAPED_MAX, RELEASED_MAX, FIELDS_MAX = '90000000', 16, 1000, 1000
local state, changed = {}, {}

local function load(fields)
  local missing = {}
  for _, field in ipairs(fields) do
    if state[field] == nil then
      state[field] = false
      missing[#missing + 1] = field
    end
  end
  if #missing > 0 then
    local found = redis.call('HMGET', wallet, unpack(missing))
    for place, field in ipairs(missing) do
      state[field] = found[place]
    end
  end
end

local function put(field, content)
  state[field] = content
  changed[field] = true
end

local function save()
  local list = {}
  local function write()
    if #list > 0 then
      redis.call('HSET', wallet, unpack(list))
      list = {}
    end
  end
  for field in pairs(changed) do
    list[#list + 1] = field
    list[#list + 1] = state[field]
    if #list >= FIELDS_MAX then
      write()
    end
  end
  write()
  changed = {}
end

local function grant_of(content)
  local unit, amount, expires, used, held = string.match(content, '^(%a) (%d+) (%S+) (%d+) (%d+)$')
  return {unit = unit, amount = amount, expires = expires, used = integer(used), held = integer(held)}
end

local function put_grant(field, grant)
  local list = {grant.unit, grant.amount, grant.expires, text(grant.used), text(grant.held)}
  put(field, table.concat(list, ' '))
end

local function left_of(grant)
  return rest(rest(integer(grant.amount), grant.used), grant.held)
end

-- The record of a hold: how it stands, money and time, what it took of grants, what it occupies of counters, its
-- idempotency claim, what was answered, and what only proxies read. A line each.
local function record_of(content)
  local phase, money, held_at, takes, places, claim, answer, fixed =
    string.match(content, '^([^\n]*)\n(%d+) (-?%d+)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$')
  local record = {money = integer(money), takes = {}, parts = {}, claim = claim}
  record.body = string.match(content, '^[^\n]*(\n.*)$')
  for name, unit, units in string.gmatch(takes, '(%S+) (%a) (%d+)') do
    record.takes[#record.takes + 1] = {field = 'g:' .. name, name = name, unit = unit, units = integer(units)}
  end
  for field, money, held in string.gmatch(places, '(%S+) (%d) (%d+)') do
    record.parts[#record.parts + 1] = {field = field, money = money == '1', held = integer(held)}
  end
  return record
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
      local counter = counter_of(part.field, state[part.field])
      give_back(counter, part.held)
      put(part.field, content_of(counter))
    end
  end
  release_claim(record.claim, id)
end

-- Ends holds whose leases ran out: releases all they reserved, and charges nothing. Answers how many.
-- Their records are not among the declared keys. Where one cannot be read (its slot is moving to another node), the
-- hold keeps its lease and ends later.
local function reap()
  local prefix = string.sub(request, 1, -33)
  local due = redis.call('ZRANGEBYSCORE', leases, '-inf', digits(now - pause), 'LIMIT', 0, REAPED_MAX)
  local reaped = 0
  for _, id in ipairs(due) do
    local content = redis.pcall('GET', prefix .. id)
    if type(content) == 'string' and string.sub(content, 1, 1) == 'L' then
      local record = record_of(content)
      redis.call('ZREM', leases, id)
      release(record, id)
      local phase = 'P ' .. now_text
      redis.call('SET', prefix .. id, phase .. record.body, 'PX', ENDED_MS)
      reaped = reaped + 1
    elseif type(content) ~= 'table' then
      redis.call('ZREM', leases, id)
    end
  end
  return reaped
end
