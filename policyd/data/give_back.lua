-- Put back what was taken: policyd.limits.bucket.put_back.
-- KEYS: the buckets. ARGV: now, then for each bucket interval, depth, cost, and what the row holds beside its
-- first and last value.
local SKEW = 60
local now = tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
  local at = 1 + (i - 1) * 4
  local interval, depth = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local row = redis.call('GET', key)
  local full = row and tonumber(string.match(row, '^%[([^,]+),'))
  if full and math.ceil(full) > now then
    if full > now + depth and full <= now + depth + SKEW then
      full = now + depth
    end
    full = full - tonumber(ARGV[at + 3]) * interval
    if full > now then
      row = string.format('[%.17g,%s,%d]', full, ARGV[at + 4], math.ceil(full))
      redis.call('SET', key, row, 'PX', math.ceil((full - now) * 1000) + 1)
    else
      redis.call('DEL', key)
    end
  end
end
return 1
