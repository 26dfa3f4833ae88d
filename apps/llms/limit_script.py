"""The rules of ``limits.py``, as they run inside Redis: one script, one round trip."""

from typing import Final

# KEYS: the model's state, its gates, the host's gates. ARGV[1] is JSON:
#   gate, organization; rpm, tpm (0: none), concurrency, capacity; held: calls of this gate now;
#   wants: tokens of each call that waits, the first one first;
#   done: [outcome, tokens to add or give back, when it was let in, microseconds to rest] a call.
# Answers {how many of wants may go, microseconds to wait for more, the time in microseconds}.
#
# A gate is one process' line of calls to one model. It says at each exchange how many calls it has
# and wants; one that is silent for LIFE is believed dead, and its calls with it.
SCRIPT: Final = """
local LIFE, FRESH, LOOK = 10000000, 1000000, 25000
local ask = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local function whole(number) return string.format('%.0f', number) end

-- Buckets: the state is the moment at which they are full again. Burst and rate together never
-- exceed the limit in any minute.
local state = redis.call('HMGET', KEYS[1], 'calls', 'tokens', 'ceiling', 'good', 'cut', 'rest')
local calls, tokens = tonumber(state[1]) or 0, tonumber(state[2]) or 0
local ceiling = math.min(tonumber(state[3]) or ask.concurrency, ask.concurrency)
local good, cut, rest = tonumber(state[4]) or 0, tonumber(state[5]) or 0, tonumber(state[6]) or 0
local function bucket(limit, least)
  local burst = math.max(1, math.floor(limit / 10))
  local interval = 60000000 / (limit - burst + least)
  return burst, interval
end
local call_burst, call_interval, token_burst, token_interval
if ask.rpm > 0 then call_burst, call_interval = bucket(ask.rpm, 1) end
if ask.tpm > 0 then token_burst, token_interval = bucket(ask.tpm, ask.tpm > 1 and 0 or 1) end

-- What became of calls: fewer at once after a 429, one more after each twenty that went well.
for _, done in ipairs(ask.done) do
  local outcome, change, since, pause = done[1], done[2], done[3], done[4]
  if token_interval then tokens = math.max(tokens, now) + change * token_interval end
  if outcome == 'limited' and since >= cut then
    ceiling, good, cut = math.max(1, ceiling / 2), 0, now
  elseif outcome == 'ok' and ceiling < ask.concurrency then
    good = good + 1
    if good >= 20 then ceiling, good = math.min(ask.concurrency, ceiling + 1), 0 end
  end
  if pause > 0 then rest = math.max(rest, now + pause) end
end

-- Who else is there: {id: {demand, held, served, waits}}, by gate or by organization.
local function groups(key, mine, by_organization)
  local found, flat = {}, redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    local owner, seen, demand, held, served =
      string.match(flat[i + 1], '(%S+) (%S+) (%S+) (%S+) (%S+)')
    seen = tonumber(seen)
    if flat[i] == mine or seen < now - LIFE then
      if flat[i] ~= mine then redis.call('HDEL', key, flat[i]) end
    else
      local id = by_organization and owner or flat[i]
      local group = found[id] or {demand = 0, held = 0, served = 0, waits = false}
      group.demand = group.demand + tonumber(demand)
      group.held = group.held + tonumber(held)
      group.served = math.max(group.served, tonumber(served))
      group.waits = group.waits or (tonumber(demand) > tonumber(held) and seen > now - FRESH)
      found[id] = group
    end
  end
  return found
end

-- How many more of `capacity` may go to `me`: everybody gets the same, and what some leave goes to
-- the others. What cannot be shared out evenly goes to whoever has waited longest.
local function room(found, me, capacity)
  local total, demands = 0, {}
  for _, group in pairs(found) do
    total = total + group.held
    table.insert(demands, group.demand)
  end
  local free, mine = math.floor(capacity) - total, found[me]
  if free < 1 then return 0 end
  table.sort(demands)
  local left, share = math.floor(capacity), math.huge
  for i, demand in ipairs(demands) do
    local even = left / (#demands - i + 1)
    if demand > even then share = even break end
    left = left - demand
  end
  local allowed = math.min(mine.demand, math.floor(share)) - mine.held
  if allowed < 1 then
    for id, group in pairs(found) do
      if id ~= me and group.waits and group.served < mine.served then return 0 end
    end
    allowed = 1
  end
  return math.min(allowed, free)
end

local before = redis.call('HGET', KEYS[2], ask.gate)
local served = before and tonumber(string.match(before, '(%S+)$')) or 0
local wanted, granted, wait, host_is_full = #ask.wants, 0, 0, false
if wanted > 0 then
  local demand = wanted + ask.held
  local gates, organizations = groups(KEYS[2], ask.gate, false), groups(KEYS[3], ask.gate, true)
  gates[ask.gate] = {demand = demand, held = ask.held, served = served, waits = true}
  local own = organizations[ask.organization] or {demand = 0, held = 0, served = 0}
  organizations[ask.organization] = {
    demand = own.demand + demand, held = own.held + ask.held,
    served = math.max(own.served, served), waits = true
  }
  local may = room(gates, ask.gate, ceiling)
  local host_may = room(organizations, ask.organization, ask.capacity)
  if host_may < may then may, host_is_full = host_may, true end
  if now < rest then may, wait = 0, rest - now end
  while granted < may and granted < wanted do
    local size = ask.wants[granted + 1]
    if call_interval then
      local full = math.max(calls, now)
      local late = full + call_interval - (now + call_burst * call_interval)
      if late > 0 then wait = late break end
      calls = full + call_interval
    end
    if token_interval then
      local full = math.max(tokens, now)
      local late = full + (math.min(size, token_burst) - token_burst) * token_interval - now
      if late > 0 then
        wait = late
        if call_interval then calls = calls - call_interval end
        break
      end
      tokens = full + size * token_interval
    end
    granted = granted + 1
  end
  if granted > 0 then served = now end
  host_is_full = host_is_full and wait == 0
  if granted < wanted and wait == 0 then wait = LOOK end
end

-- To the host only those are a demand who wait for the host: the others would not go anyway.
local held, demand = ask.held + granted, ask.held + wanted
local function entry(of)
  return table.concat({ask.organization, whole(now), whole(of), whole(held), whole(served)}, ' ')
end
if demand > 0 then
  redis.call('HSET', KEYS[2], ask.gate, entry(demand))
  redis.call('HSET', KEYS[3], ask.gate, entry(host_is_full and demand or held))
  redis.call('PEXPIRE', KEYS[2], 60000)
  redis.call('PEXPIRE', KEYS[3], 60000)
else
  redis.call('HDEL', KEYS[2], ask.gate)
  redis.call('HDEL', KEYS[3], ask.gate)
end
redis.call(
  'HSET', KEYS[1], 'calls', whole(calls), 'tokens', whole(tokens), 'ceiling', tostring(ceiling),
  'good', good, 'cut', whole(cut), 'rest', whole(rest)
)
redis.call('PEXPIRE', KEYS[1], 3600000)
return {granted, math.ceil(wait), whole(now), tostring(ceiling)}
"""
