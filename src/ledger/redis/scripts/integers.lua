-- Integers of 64 bits and more. A double is exact to 2^53: an integer below that is a number, any other a pair
-- {high, low} that stands for high * 10^9 + low, with 0 <= low < 10^9.
local type, format = type, string.format
local EXACT, UNIT = 9007199254740992, 1000000000
local U64_MAX = {18446744073, 709551615}
local I64_MAX = {9223372036, 854775807}
-- No wallet owns or owes more (2^61); nor does the level of a bucket pass it.
local RANGE = {2305843009, 213693952}

local function parts(n)
  if type(n) == 'table' then
    return n[1], n[2]
  end
  local high = math.floor(n / UNIT)
  local low = n - high * UNIT
  if low < 0 then
    return high - 1, low + UNIT
  end
  return high, low
end

-- The integer high * 10^9 + low, where low is a sum or a difference of two lows.
local function whole(high, low)
  if low >= UNIT then
    high, low = high + 1, low - UNIT
  elseif low < 0 then
    high, low = high - 1, low + UNIT
  end
  local n = high * UNIT + low
  if n > -EXACT and n < EXACT then
    return n
  end
  return {high, low}
end

local function integer(text)
  -- What rounds to less than 2^53 was not rounded.
  local n = tonumber(text)
  if not n or (n > -EXACT and n < EXACT) then
    return n
  end
  local sign, digits = 1, text
  if string.byte(text) == 45 then
    sign, digits = -1, string.sub(text, 2)
  end
  return whole(sign * tonumber(string.sub(digits, 1, -10)), sign * tonumber(string.sub(digits, -9)))
end

-- The digits of an exact number. Formatting integers is several times as fast as formatting doubles; each is below
-- 2^31, which a server of 32 bits can format too.
local function digits(n)
  if n >= 0 then
    if n < UNIT then
      return format('%d', n)
    end
    local low = math.fmod(n, UNIT)
    return format('%d%09d', (n - low) / UNIT, low)
  end
  return '-' .. digits(-n)
end

local function text(n)
  if type(n) == 'number' then
    return digits(n)
  end
  local high, low = n[1], n[2]
  if high >= 0 then
    return string.format('%.0f%09.0f', high, low)
  end
  high, low = -high, 0 - low
  if low < 0 then
    high, low = high - 1, low + UNIT
  end
  return string.format('-%.0f%09.0f', high, low)
end

local function add(a, b)
  if type(a) == 'number' and type(b) == 'number' then
    local sum = a + b
    if sum > -EXACT and sum < EXACT then
      return sum
    end
  end
  local ah, al = parts(a)
  local bh, bl = parts(b)
  return whole(ah + bh, al + bl)
end

local function sub(a, b)
  if type(a) == 'number' and type(b) == 'number' then
    local rest = a - b
    if rest > -EXACT and rest < EXACT then
      return rest
    end
  end
  local ah, al = parts(a)
  local bh, bl = parts(b)
  return whole(ah - bh, al - bl)
end

local function less(a, b)
  if type(a) == 'number' then
    if type(b) == 'number' then
      return a < b
    end
    -- A pair is beyond all numbers, on one side or the other.
    return b[1] > 0
  end
  if type(b) == 'number' then
    return a[1] < 0
  end
  return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2])
end

local function least(a, b)
  if less(b, a) then
    return b
  end
  return a
end

-- a - b, but not below zero.
local function rest(a, b)
  if less(a, b) then
    return 0
  end
  return sub(a, b)
end
