-- Folding. Made when it is called for: most settles fold nothing.
local function folding()
  -- Receipts that go: what they sum to stays in their wallet, in its field `folded`: how many, charged, shortfall,
  -- free money, tokens, images and requests, and when the last was settled. All or nothing: a receipt goes in the call
  -- that adds it there.
  local function fold(stream, entries)
    local prefix = string.sub(stream, 1, -2) .. 'w:'
    local gone, sums = {}, {}
    for _, entry in ipairs(entries) do
      local owner = prefix .. entry[2][2]
      local decided = {string.match(entry[2][8], '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) [01] (-?%d+)$')}
      local sum = sums[owner]
      if #decided == 7 and sum == nil then
        local known = redis.call('HMGET', owner, 'balance', 'folded')
        sum = false
        if known[1] then
          sum = {string.match(known[2] or '0 0 0 0 0 0 0 0', '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (-?%d+)$')}
          for place, content in ipairs(sum) do
            sum[place] = integer(content)
          end
        end
        sums[owner] = sum
      end
      -- What cannot be read, or is of no wallet, stays for the audit to tell.
      if #decided == 7 and sum and #sum == 8 then
        local at = integer(decided[7])
        sum[1] = add(sum[1], 1)
        sum[2] = add(sum[2], integer(decided[1]))
        sum[3] = add(sum[3], integer(decided[3]))
        sum[4] = add(sum[4], integer(decided[2]))
        for place = 5, 7 do
          sum[place] = add(sum[place], integer(decided[place - 1]))
        end
        if less(sum[8], at) then
          sum[8] = at
        end
        sum.changed = true
        gone[#gone + 1] = entry[1]
      end
    end
    -- First what a user with too few rights cannot do: then nothing is counted twice.
    if #gone > 0 then
      redis.call('XDEL', stream, unpack(gone))
      redis.call('HINCRBY', meta, 'folds', #gone)
    end
    for owner, sum in pairs(sums) do
      if sum and sum.changed then
        for place, content in ipairs(sum) do
          sum[place] = text(content)
        end
        redis.call('HSET', owner, 'folded', table.concat(sum, ' '))
      end
    end
    return #gone
  end

  -- Whether a receipt may go: one whose idempotency claim still answers repeats may not.
  local function may_go(entry)
    local at = tonumber(string.match(entry[1], '^%d+'))
    return entry[2][9] ~= 'c' or now - at > CLAIM_MS
  end

  -- The oldest receipts of a few that may go, at most so many. Mostly those are the very first, and no more are read.
  local function oldest_that_may_go(stream, count)
    local going
    for _, looked in ipairs({count, 8}) do
      going = {}
      for _, entry in ipairs(redis.call('XRANGE', stream, '-', '+', 'COUNT', looked)) do
        if #going < count and may_go(entry) then
          going[#going + 1] = entry
        end
      end
      if #going == count then
        break
      end
    end
    return going
  end

  -- An audit reads this partition page by page: until then, nothing is folded.
  local function is_still()
    local until_ = redis.call('HGET', meta, 'still')
    return until_ and now < tonumber(until_)
  end
  return fold, may_go, is_still, oldest_that_may_go
end
