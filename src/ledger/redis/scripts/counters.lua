-- Counters: cap, what live holds occupy, and what was used; of a bucket, its level in units times its refill
-- time, and when it stood so. A field's name ends with its window: `|t` for ever, `|p<start>-<end>` a period,
-- `|c` live holds only, `|b<ms>` a bucket that refills its cap in so many milliseconds.

-- No bucket takes longer to refill, in milliseconds.
local SMALL = 9000000

-- a * b of integers that are not negative; of a product far beyond RANGE, something beyond 2 * RANGE.
local function times(a, b)
  if type(a) == 'number' and type(b) == 'number' and a * b < EXACT then
    return a * b
  end
  local ah, al = parts(a)
  local bh, bl = parts(b)
  if (ah * UNIT + al) * (bh * UNIT + bl) > 9e18 then
    return {9300000000, 0}
  end
  if ah == 0 and al <= SMALL then
    ah, al, bh, bl = bh, bl, ah, al
  end
  if bh == 0 and bl <= SMALL then
    -- Both products are below 2^53.
    local low = al * bl
    local left = math.fmod(low, UNIT)
    return whole(ah * bl + (low - left) / UNIT, left)
  end
  local function limbs(high, low)
    local list = {}
    for place, half in ipairs({low, high}) do
      for step = 1, place == 1 and 3 or 4 do
        list[#list + 1] = math.fmod(half, 1000)
        half = math.floor(half / 1000)
      end
    end
    return list
  end
  local la, lb, sum = limbs(ah, al), limbs(bh, bl), {}
  for i = 1, 7 do
    for j = 1, 7 do
      sum[i + j - 1] = (sum[i + j - 1] or 0) + la[i] * lb[j]
    end
  end
  local carry = 0
  for i = 1, 13 do
    local n = sum[i] + carry
    sum[i] = math.fmod(n, 1000)
    carry = math.floor(n / 1000)
  end
  local high = sum[4] + sum[5] * 1e3 + sum[6] * 1e6 + sum[7] * 1e9
  return whole(high, sum[1] + sum[2] * 1e3 + sum[3] * 1e6)
end

-- a / b, rounded down; a not negative, b from 1 to 9,000,000.
local function over(a, b)
  local high, low = parts(a)
  local left = math.fmod(high, b)
  local carry = left * UNIT + low
  return whole((high - left) / b, (carry - math.fmod(carry, b)) / b)
end

local function full(counter)
  local known = counter.full
  if not known then
    known = least(times(counter.cap, counter.refill), RANGE)
    counter.full = known
  end
  return known
end

-- Adds to a bucket and takes from it in one step, so that a full bucket loses nothing in between.
local function shift(counter, give, take)
  if not counter.refill then
    return
  end
  local by = less(give, take) and sub(0, times(sub(take, give), counter.refill))
    or times(sub(give, take), counter.refill)
  local level = least(add(counter.level, by), full(counter))
  if type(level) ~= 'number' and less(level, sub(0, RANGE)) then
    level = sub(0, RANGE)
  end
  counter.level = level
end

local function new_counter(field, cap)
  local kind, refill = string.match(field, '|(%a)(%d*)')
  local counter = {kind = kind, cap = cap, held = 0, used = 0}
  if kind == 'b' then
    counter.refill = math.max(tonumber(refill), 1)
    counter.level = full(counter)
    counter.at = now
  end
  return counter
end

-- The counter of a field's content, as it stands now: a bucket has refilled.
local function counter_of(field, content)
  local kind, refill = string.match(field, '|(%a)(%d*)')
  local cap, held, used, at = string.match(content, '^(%d+) (%d+) (-?%d+) ?(-?%d*)')
  local counter = {kind = kind, cap = integer(cap), held = integer(held), used = integer(used)}
  if kind == 'b' then
    counter.refill = math.max(tonumber(refill), 1)
    at = tonumber(at)
    local gain = times(math.max(now - at, 0), counter.cap)
    counter.level = least(add(counter.used, gain), full(counter))
    counter.at = math.max(at, now)
  end
  return counter
end

local function capped(counter, cap)
  if counter.cap == cap then
    return
  end
  counter.cap, counter.full = cap, nil
  if counter.refill then
    counter.level = least(counter.level, full(counter))
  end
end

local function content_of(counter)
  local start = text(counter.cap) .. ' ' .. text(counter.held) .. ' '
  if counter.refill then
    return start .. text(counter.level) .. ' ' .. text(counter.at)
  end
  return start .. text(counter.used)
end

-- The largest amount that may be asked. A full bucket lets pass whatever is asked.
local function room(counter)
  if not counter.refill then
    return rest(rest(counter.cap, counter.used), counter.held)
  end
  if less(0, counter.cap) and not less(counter.level, full(counter)) then
    return U64_MAX
  end
  if less(counter.level, 0) then
    return 0
  end
  return over(counter.level, counter.refill)
end

-- Answers how much it came to; nothing where live holds would have more than 64 bits of a bucket.
local function occupy(counter, ask)
  local part = counter.refill and least(ask, counter.cap) or ask
  local held = add(counter.held, part)
  if less(U64_MAX, held) then
    return nil
  end
  counter.held = held
  shift(counter, 0, part)
  return part
end

local function give_back(counter, part)
  counter.held = rest(counter.held, part)
  shift(counter, part, 0)
end

local function use_up(counter, amount)
  if counter.kind == 't' or counter.kind == 'p' then
    counter.used = least(add(counter.used, amount), U64_MAX)
  end
end

-- Replaces what a hold occupied by what its request came to: at most as much, but for buckets.
local function count(counter, part, actual)
  counter.held = rest(counter.held, part)
  shift(counter, part, actual)
  use_up(counter, least(actual, part))
end

-- Counts a request whose hold had lapsed: at most what it had occupied, and what there is room for.
local function count_late(counter, part, actual)
  local left = room(counter)
  shift(counter, 0, actual)
  use_up(counter, least(least(actual, part), left))
end
