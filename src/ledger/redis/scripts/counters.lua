-- Counters: cap, what live holds occupy, and what was used; of a bucket, its level in units times its refill
-- time, and when it stood so. A field's name ends with its window: `|t` for ever, `|p<start>-<end>` a period,
-- `|c` live holds only, `|b<ms>` a bucket that refills its cap in so many milliseconds.
-- Nearly all numbers are below 2^53: such counters are done in plain arithmetic, on texts most of which are only copied.
-- For the others there are functions that are exact for all, made when they are called for.

local CONTENT = '^(%d+) (%d+) (-?%d+) ?(-?%d*)'

-- How long a bucket takes to refill; nothing for other fields.
local function refill_of(field)
  local bar = find(field, '|', 1, true)
  if slice(field, bar + 1, bar + 1) == 'b' then
    local refill = slice(field, bar + 2) + 0
    return refill > 1 and refill or 1
  end
end

-- Levels go beyond 2^53 where caps do not: here they are two numbers, high * 10^9 + low.

-- a * b, for a of either sign below 2^53, and b up to 9,000,000: no bucket takes longer to refill, in milliseconds.
local function product(a, b)
  local low = a % 1e9
  local high, small = (a - low) / 1e9, low * b
  low = small % 1e9
  return high * b + (small - low) / 1e9, low
end

local function level_text(high, low)
  if high == 0 then
    return text(low)
  end
  return format(high < 2^31 and '%d%09d' or '%.0f%09d', high, low)
end

-- The level of a bucket as it stands now, and its level when it is full; nothing for debts, and beyond the range.
local function refilled(cap, level, at, refill)
  local full_high, full_low = product(cap, refill)
  local high, low = 0, level + 0
  if low < 0 or full_high >= 2305843009 or cap >= 2^53 then
    return nil
  end
  if low >= 1e9 then
    high, low = slice(level, 1, -10) + 0, slice(level, -9) + 0
  end
  local elapsed = now - at
  if elapsed >= refill then
    return full_high, full_low, full_high, full_low
  elseif elapsed > 0 then
    local more_high, more_low = product(cap, elapsed)
    high, low = high + more_high, low + more_low
    if low >= 1e9 then
      high, low = high + 1, low - 1e9
    end
  end
  if high > full_high or (high == full_high and low > full_low) then
    return full_high, full_low, full_high, full_low
  end
  return high, low, full_high, full_low
end

-- Counters as tables, for any numbers.
local counters_made
local function counters()
  if counters_made then
    return counters_made
  end

  -- a * b of integers that are not negative; of a product far beyond RANGE, something beyond 2 * RANGE.
  local function times(a, b)
    if not (wide[a] or wide[b]) then
      local n = a * b
      if n < 2^53 then
        return n
      end
    end
    -- No bucket takes longer to refill, in milliseconds.
    local SMALL = 9000000
    local pairs_ = of_pairs()
    local parts, whole = pairs_.parts, pairs_.whole
    local ah, al = parts(a)
    local bh, bl = parts(b)
    if (ah * 1e9 + al) * (bh * 1e9 + bl) > 9e18 then
      return whole(9300000000, 0)
    end
    if ah == 0 and al <= SMALL then
      ah, al, bh, bl = bh, bl, ah, al
    end
    if bh == 0 and bl <= SMALL then
      -- Both products are below 2^53.
      local low = al * bl
      local left = math.fmod(low, 1e9)
      return whole(ah * bl + (low - left) / 1e9, left)
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
    if not wide[a] then
      return (a - math.fmod(a, b)) / b
    end
    local pairs_ = of_pairs()
    local left = math.fmod(a[1], b)
    local carry = left * 1e9 + a[2]
    return pairs_.whole((a[1] - left) / b, (carry - math.fmod(carry, b)) / b)
  end

  -- What a bucket's level is when it is full.
  local function full_of(size, refill)
    return at_most('RANGE', times(size, refill))
  end

  -- Adds to a bucket and takes from it in one step, so that a full bucket loses nothing in between.
  local function shift(counter, give, take)
    local level, full, refill = counter.level, counter.full, counter.refill
    if not refill then
      return
    end
    local by = less(give, take) and sub(0, times(sub(take, give), refill)) or times(sub(give, take), refill)
    level = least(add(level, by), full)
    if wide[level] then
      local lowest = sub(0, of_pairs().RANGE)
      level = less(level, lowest) and lowest or level
    end
    counter.level = level
  end

  -- A counter by its field's name and by what it holds; a new bucket is full. What is mostly copied stays text. Of a
  -- bucket, these are numbers: its cap (`size`), its level when it is full, its level, and when it stood so.
  local function counter_from(field, cap, held, used, at)
    local refill = refill_of(field)
    if not refill then
      return {kind = match(field, '|(.)'), cap = cap, held = held, used = used or '0'}
    end
    local size = integer(cap)
    local full = full_of(size, refill)
    local level = used and integer(used) or full
    at = at + 0
    if at < now then
      level, at = add(level, times(now - at, size)), now
    end
    level = least(level, full)
    return {kind = 'b', cap = cap, held = held, refill = refill, size = size, full = full, level = level, at = at}
  end

  -- The counter of a field's content, as it stands now: a bucket has refilled.
  local function counter_of(field, content)
    return counter_from(field, match(content, CONTENT))
  end

  local function set_cap(counter, cap)
    counter.cap = cap
    if counter.refill then
      counter.size = integer(cap)
      counter.full = full_of(counter.size, counter.refill)
      counter.level = least(counter.level, counter.full)
    end
  end

  local function content_of(counter)
    if counter.refill then
      local at = counter.at == now and now_text or text(counter.at)
      return counter.cap .. ' ' .. counter.held .. ' ' .. text(counter.level) .. ' ' .. at
    end
    return counter.cap .. ' ' .. counter.held .. ' ' .. counter.used
  end

  -- The largest amount that may be asked; nothing for a full bucket, which lets pass whatever is asked.
  local function room(counter)
    local level = counter.level
    if not level then
      local cap, used, held = counter.cap, counter.used, counter.held
      if cap + used + held < 2^53 then
        local left = cap - used - held
        return left > 0 and left or 0
      end
      return rest(rest(integer(cap), integer(used)), integer(held))
    end
    if less(0, counter.size) and not less(level, counter.full) then
      return nil
    end
    if less(level, 0) then
      return 0
    end
    return over(level, counter.refill)
  end

  counters_made =
    {of = counter_of, from = counter_from, content = content_of, room = room, shift = shift, set_cap = set_cap}
  return counters_made
end
