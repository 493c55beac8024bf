-- Whose the objects of upstreams are. An object is a string: its kind, when it was made, when it ends, when that was
-- asked, the request that it waits for (`-` for none); in the next line its record; then what its settler has to know.
-- Beside them lie, by wallet and kind, all of them by age (`oc:`) and those that are not pending by their end (`oe:`),
-- and in one hash (`pending`) the object that waits for a request.
local GOING_MAX, OBJECTS_KEPT_MS, DROPPED_MS = 16, 90000000, 604800000
local base = string.sub(meta, 1, -5)
local waiting = base .. 'pending'

-- Made when they are called for: most settles have none that waits.
local function objects()
  local function object_of(content)
    if type(content) ~= 'string' then
      return nil
    end
    local kind, created, expires, asked, request, record =
      string.match(content, '^(%S+) (%d+) (%d+) (%d+) (%S+)\n([^\n]*)\n')
    return {
      kind = kind, created = created, expires = expires, asked = asked, record = record,
      request = request ~= '-' and request,
    }
  end

  local function is_there(object)
    return object.request or now < tonumber(object.expires)
  end

  -- The names of what lists a wallet's objects of one kind.
  local function lists_of(owner, kind)
    return base .. 'oc:' .. owner .. '|' .. kind, base .. 'oe:' .. owner .. '|' .. kind
  end

  -- Lists go some time after the last object in them has ended, if nobody comes by; with a pending one they stay.
  local function keep_lists(ages, ends)
    if redis.call('ZCARD', ages) ~= redis.call('ZCARD', ends) then
      redis.call('PERSIST', ages)
      redis.call('PERSIST', ends)
      return
    end
    local latest = redis.call('ZREVRANGE', ends, 0, 0, 'WITHSCORES')[2]
    if latest then
      local for_ms = string.format('%.0f', math.max(tonumber(latest) - now, 0) + OBJECTS_KEPT_MS)
      redis.call('PEXPIRE', ages, for_ms)
      redis.call('PEXPIRE', ends, for_ms)
    end
  end

  -- Writes an object; `state` is what its settler has to know, if it waits for a request.
  local function put_object(owner, id, object, state)
    local ages, ends = lists_of(owner, object.kind)
    local head = table.concat({object.kind, object.created, object.expires, object.asked, object.request or '-'}, ' ')
    local content = table.concat({head, object.record, state}, '\n')
    redis.call('ZADD', ages, object.created, id)
    if object.request then
      redis.call('SET', base .. 'o:' .. owner .. '|' .. id, content)
      redis.call('ZREM', ends, id)
      redis.call('HSET', waiting, object.request, owner .. ' ' .. id)
    else
      local for_ms = math.max(tonumber(object.expires) - now, 0) + OBJECTS_KEPT_MS
      redis.call('SET', base .. 'o:' .. owner .. '|' .. id, content, 'PX', string.format('%.0f', for_ms))
      redis.call('ZADD', ends, object.expires, id)
    end
    keep_lists(ages, ends)
  end

  -- Removes an object. Where it cannot be reached now (its slot is moving to another node), it stays.
  local function drop_object(owner, id, object)
    if type(redis.pcall('DEL', base .. 'o:' .. owner .. '|' .. id)) ~= 'number' then
      return
    end
    local ages, ends = lists_of(owner, object.kind)
    redis.call('ZREM', ages, id)
    redis.call('ZREM', ends, id)
    if object.request then
      redis.call('HDEL', waiting, object.request)
    end
  end

  -- The object that waits for a request, `name` in the hash of those that do, is pending no more.
  local function settle_object(request, name)
    local owner, id = string.match(name, '^(%S+) (%S+)$')
    local object = object_of(redis.pcall('GET', base .. 'o:' .. owner .. '|' .. id))
    if object and object.request == request then
      object.request = nil
      redis.call('HDEL', waiting, request)
      put_object(owner, id, object, '')
    end
  end

  return {of = object_of, is_there = is_there, put = put_object, drop = drop_object, settle = settle_object}
end
