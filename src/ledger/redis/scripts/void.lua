-- Releases a hold without a charge, and keeps a later hold of that id out. ARGV[7]: request.
local id = ARGV[7]
local content = redis.call('GET', request)
local phase = content and string.sub(content, 1, 1)
if not fresh then
  note()
  return {phase == 'V' and 'ok' or 'done', 0}
end
if redis.call('EXISTS', wallet) == 0 then
  return finish_without({'no wallet', 0})
end
if phase == 'S' then
  return finish({'settled', 0})
end
if phase == 'V' then
  return finish({'ok', 0})
end
if phase == 'L' then
  redis.call('ZREM', leases, id)
  releasing()(record_of(content), id)
end
redis.call('SET', request, 'V ' .. string.format('%.0f', now), 'PX', ENDED_MS)
local reaped = reap()
save()
return finish({'ok', reaped})
