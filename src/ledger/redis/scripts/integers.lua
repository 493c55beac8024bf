-- Integers of 64 bits and more. A double is exact to 2^53: an integer below that is a number, any other a pair
-- {high, low} that stands for high * 10^9 + low, with 0 <= low < 10^9.
-- These run some hundred times in a call. Whether one is a pair is looked up, which costs a fraction of type(); and what
-- only pairs need is made when the first of them comes up, since a call pays for each function that it makes.
local format, match, find, slice = string.format, string.match, string.find, string.sub
-- All pairs that there are; and what calculates with them, once it is there.
local wide, pairs_made = {}, nil

local function of_pairs()
  if pairs_made then
    return pairs_made
  end
  local function pair(high, low)
    local n = {high, low}
    wide[n] = true
    return n
  end
  local function parts(n)
    if wide[n] then
      return n[1], n[2]
    end
    local high = math.floor(n / 1e9)
    local low = n - high * 1e9
    if low < 0 then
      return high - 1, low + 1e9
    end
    return high, low
  end
  -- The integer high * 10^9 + low, where low is a sum or a difference of two lows.
  local function whole(high, low)
    if low >= 1e9 then
      high, low = high + 1, low - 1e9
    elseif low < 0 then
      high, low = high - 1, low + 1e9
    end
    local n = high * 1e9 + low
    if n > -2^53 and n < 2^53 then
      return n
    end
    return pair(high, low)
  end
  pairs_made = {
    parts = parts,
    whole = whole,
    U64_MAX = pair(18446744073, 709551615),
    I64_MAX = pair(9223372036, 854775807),
    -- No wallet owns or owes more (2^61); nor does the level of a bucket pass it.
    RANGE = pair(2305843009, 213693952),
  }
  return pairs_made
end

local function integer(text)
  local n = text + 0
  -- What rounds to less than 2^53 was not rounded.
  if n < 2^53 and n > -2^53 then
    return n
  end
  local sign, digits = 1, text
  if string.byte(text) == 45 then
    sign, digits = -1, slice(text, 2)
  end
  return of_pairs().whole(sign * slice(digits, 1, -10), sign * slice(digits, -9))
end

-- The digits of an integer. Formatting integers is several times as fast as formatting doubles; each is below 2^31,
-- which a server of 32 bits can format too.
local function text(n)
  if not wide[n] then
    if n == 0 then
      return '0'
    elseif n < 0 then
      return '-' .. text(-n)
    elseif n < 1e9 then
      return format('%d', n)
    end
    local low = n % 1e9
    return format('%d%09d', (n - low) / 1e9, low)
  end
  local high, low = n[1], n[2]
  if high >= 0 then
    return format('%.0f%09.0f', high, low)
  end
  high, low = -high, 0 - low
  if low < 0 then
    high, low = high - 1, low + 1e9
  end
  return format('-%.0f%09.0f', high, low)
end

local function add(a, b)
  if not (wide[a] or wide[b]) then
    local sum = a + b
    if sum > -2^53 and sum < 2^53 then
      return sum
    end
  end
  local pairs_ = of_pairs()
  local ah, al = pairs_.parts(a)
  local bh, bl = pairs_.parts(b)
  return pairs_.whole(ah + bh, al + bl)
end

local function sub(a, b)
  if not (wide[a] or wide[b]) then
    local rest = a - b
    if rest > -2^53 and rest < 2^53 then
      return rest
    end
  end
  local pairs_ = of_pairs()
  local ah, al = pairs_.parts(a)
  local bh, bl = pairs_.parts(b)
  return pairs_.whole(ah - bh, al - bl)
end

local function less(a, b)
  if not wide[a] then
    if not wide[b] then
      return a < b
    end
    -- A pair is beyond all numbers, on one side or the other.
    return b[1] > 0
  end
  if not wide[b] then
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

-- a, or the largest of this name, if that is less.
local function at_most(name, a)
  return wide[a] and least(a, of_pairs()[name]) or a
end

-- a - b, but not below zero.
local function rest(a, b)
  if less(a, b) then
    return 0
  end
  return sub(a, b)
end
