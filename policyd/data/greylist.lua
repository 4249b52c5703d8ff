-- One attempt to deliver: policyd.greylist.ledger.StoreLedger.attempt, with the decision of
-- policyd.greylist.terms.
-- KEYS: the pair's row, the own row of each identity (of OTHERS), the client row of each identity.
-- ARGV: now (whole seconds), trace (1 or 0), the terms (delay, retry_window, lifetime, auto_allow_after,
-- auto_allow_lifetime) and how many identities are noted of a row at most, sender and recipient as in the row, and
-- for each identity: 0, 1 if it is proven, 2 if good retries count for it too, with its text as in the row; its
-- client row's key as in that row.
-- Answer: outcome, and 8 times the seconds to wait.
local NEW, EARLY, PASSED, KNOWN, EARNED = 0, 1, 2, 3, 4
local REFRESH = 3600
local now, trace = tonumber(ARGV[1]), ARGV[2] == '1'
local terms = {}
for number in string.gmatch(ARGV[3], '[^ ]+') do
  terms[#terms + 1] = tonumber(number)
end
local delay, window, lifetime, earned_after, earned_for, most = unpack(terms)
local rest = ARGV[4]
local identities, proven, counted, client_key = {}, {}, {}, {}
for i = 5, #ARGV, 2 do
  identities[#identities + 1] = string.sub(ARGV[i], 2)
  proven[#identities] = string.sub(ARGV[i], 1, 1) ~= '0'
  counted[#identities] = string.sub(ARGV[i], 1, 1) == '2'
  client_key[#identities] = ARGV[i + 1]
end

local function put(key, row, expires)
  redis.call('SET', key, row, 'EX', math.max(1, expires - now))
end

-- Triplets. An entry is {first, passed, last}, here with the identities noted of its row.

local function read(key)
  local row = redis.call('GET', key)
  if not row then
    return nil
  end
  local first, passed, last, noted = string.match(row, '^%[(%-?%d+),(%-?%d+),(%-?%d+),"([^"]*)"')
  local expires = tonumber(string.match(row, ',(%-?%d+)%]$'))
  if not first or not expires or expires <= now then
    return nil
  end
  return {first = tonumber(first), passed = tonumber(passed), last = tonumber(last), noted = noted}
end

local function expiry(entry)
  if entry.passed ~= 0 then
    return math.floor(entry.last + lifetime) + 1
  end
  return math.floor(entry.first + window) + 1
end

local function put_entry(key, entry, noted)
  local expires = expiry(entry)
  local row = string.format('[%d,%d,%d,"%s",%s,%d]', entry.first, entry.passed, entry.last, noted, rest, expires)
  put(key, row, expires)
end

local function has(noted, identity)
  return string.find(noted, ' ' .. identity .. ' ', 1, true) ~= nil
end

-- What is remembered, the rows that are to hold it (key, identities), and whether some of them do not yet.
local function held()
  local row = read(KEYS[1])
  if row then
    for i, identity in ipairs(identities) do
      if proven[i] and has(row.noted, identity) then
        local whose = row.noted
        local _, spaces = string.gsub(whose, ' ', '')
        for j = 2, #identities do
          if not has(whose, identities[j]) and spaces <= most then
            whose = whose .. identities[j] .. ' '
            spaces = spaces + 1
          end
        end
        return row, {{KEYS[1], whose}}, whose ~= row.noted
      end
    end
  end
  local best, found, count = nil, {}, 0
  for i in ipairs(identities) do
    local own = proven[i] and read(KEYS[1 + i])
    if own then
      found[i] = true
      count = count + 1
      local better = not best
      if best and (own.passed > 0) ~= (best.passed > 0) then
        better = own.passed > 0
      elseif best then
        better = own.first < best.first
      end
      if better then
        best = own
      end
    end
  end
  if not row and not best then
    return nil, {{KEYS[1], ' ' .. table.concat(identities, ' ') .. ' '}}, false
  end
  local rows = {}
  for i, identity in ipairs(identities) do
    if found[i] or (proven[i] and (i > 1 or not best)) then
      rows[#rows + 1] = {KEYS[1 + i], ' ' .. identity .. ' '}
    end
  end
  return best, rows, count < #rows
end

-- The decision: the entry to be written (nil: none), the outcome, the wait.

local function first_seen()
  if delay <= 0 then
    return {first = now, passed = now, last = now}, PASSED, 0
  end
  return {first = now, passed = 0, last = now}, NEW, math.ceil(delay)
end

local function judge(entry)
  if not entry then
    return first_seen()
  end
  if entry.passed ~= 0 then
    if now - entry.last > lifetime then
      return first_seen()
    end
    if now - entry.last >= REFRESH or now < entry.last then
      return {first = entry.first, passed = entry.passed, last = now}, KNOWN, 0
    end
    return nil, KNOWN, 0
  end
  if now < entry.first then
    return {first = now, passed = 0, last = now}, EARLY, math.ceil(delay)
  end
  local waited = now - entry.first
  if waited > window then
    return first_seen()
  end
  if waited < delay then
    return nil, EARLY, math.ceil(delay - waited)
  end
  return {first = entry.first, passed = now, last = now}, PASSED, 0
end

-- Clients.

local function client(i)
  local row = redis.call('GET', KEYS[1 + #identities + i])
  if not row then
    return nil
  end
  local retries, last, expires = string.match(row, ',(%-?%d+),(%-?%d+),(%-?%d+)%]$')
  if not retries or tonumber(expires) <= now then
    return nil
  end
  return {retries = tonumber(retries), last = tonumber(last)}
end

local function put_client(i, retries, last)
  local expires = last + math.floor(earned_for) + 1
  put(KEYS[1 + #identities + i], string.format('[%s,%d,%d,%d]', client_key[i], retries, last, expires), expires)
end

local function has_earned(i)
  local known = client(i)
  if not known or known.retries < earned_after or now - known.last > earned_for then
    return false
  end
  if trace and (now - known.last >= REFRESH or now < known.last) then
    put_client(i, known.retries, now)
  end
  return true
end

-- The identity that says most of who it is: its organisation, else its network.
local main = 1
if #identities > 1 and string.sub(identities[2], 1, 4) == 'ptr:' then
  main = 2
end
if earned_after > 0 and proven[main] and has_earned(main) then
  return EARNED
end
local entry, rows, incomplete = held()
local changed, outcome, wait = judge(entry)
if (outcome == NEW or outcome == EARLY) and earned_after > 0 then
  for i in ipairs(identities) do
    if i ~= main and proven[i] and has_earned(i) then
      return EARNED
    end
  end
end
changed = changed or (incomplete and entry) or nil
if changed and trace then
  for _, row in ipairs(rows) do
    put_entry(row[1], changed, row[2])
  end
  if outcome == PASSED and earned_after > 0 then
    for i in ipairs(identities) do
      if counted[i] then
        local known = client(i)
        put_client(i, known and known.retries + 1 or 1, now)
      end
    end
  end
end
return outcome + 8 * wait
