-- Take from every bucket, or from none: policyd.limits.bucket.stand and policyd.limits.ledger.StoreLimits.take.
-- KEYS: the buckets. ARGV: now, then for each bucket interval, depth, cost, take (1 or 0), shadow (1 or 0), and
-- what the row holds beside its first and last value.
-- Answer: what was remembered of each bucket before, as text.
local TOLERANCE, SKEW = 0.001, 60
local now = tonumber(ARGV[1])
local before, after = {}, {}
local all = true
for i, key in ipairs(KEYS) do
  local at = 1 + (i - 1) * 6
  local interval, depth = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local row = redis.call('GET', key)
  local full = row and string.match(row, '^%[([^,]+),') or '0'
  before[i] = full
  local held = math.max(tonumber(full), now)
  if held > now + depth then
    held = held <= now + depth + SKEW and now + depth or now
  end
  local taken = held + tonumber(ARGV[at + 3]) * interval
  if taken - now - depth <= TOLERANCE then
    if ARGV[at + 4] == '1' then
      after[i] = taken
    end
  elseif ARGV[at + 4] == '1' and ARGV[at + 5] ~= '1' then
    all = false
  end
end
if all then
  for i, full in pairs(after) do
    local row = string.format('[%.17g,%s,%d]', full, ARGV[1 + i * 6], math.ceil(full))
    redis.call('SET', KEYS[i], row, 'PX', math.ceil((full - now) * 1000) + 1)
  end
end
return before
