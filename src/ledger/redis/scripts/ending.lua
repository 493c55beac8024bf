-- How the call of a mutation ends, which has a number of a journal.

-- Ends a call that was carried out, or that cannot be, now or ever: the mark moves. What was sent again from a
-- journal and cannot be carried out is put aside for the operator.
local function finish(reply)
  if seq ~= '' and fresh then
    noted[#noted + 1] = 'm:' .. nonce
    noted[#noted + 1] = seq
    if ARGV[6] == '1' and reply[1] ~= 'ok' then
      local suspended = string.sub(meta, 1, -5) .. 'z'
      redis.call('RPUSH', suspended, table.concat({nonce, seq, now_text, unpack(reply)}, ' '))
    end
  end
  note()
  return reply
end

-- Ends a call that lacks its wallet. While the partition recovers, another journal may have to bring the wallet
-- back first: then this is as if others came before it. A wallet that `was_there` is proof of lost writes, which the
-- partition has ten seconds to recover from; not again within ten minutes, so that one that never comes back holds up
-- nobody.
local function finish_without(reply, was_there)
  if was_there and not recovering then
    local lacked = tonumber(redis.call('HGET', meta, 'lacked'))
    if not lacked or now - lacked > 600000 then
      recovering = string.format('%.0f', now)
      for _, word in ipairs({'rec', recovering, 'lacked', recovering}) do
        noted[#noted + 1] = word
      end
    end
  end
  if seq ~= '' and recovering and now - tonumber(recovering) < 10000 then
    note()
    return {'gap', string.format('%.0f', mark)}
  end
  return finish(reply)
end
