-- split_admissions(allowed, lengths, share, owed): returns how many visitors of each priority are let in, if `allowed`
-- are in all. While a lower priority waits, a higher one gets at most `share` of the admissions, and so on among the
-- lower ones. With 0.8, of ten admissions eight are of the highest priority and two of those below. `lengths` counts
-- the waiting visitors: [4] of priority 3 down to [1] of priority 0. `owed` is the fraction of an admission that is
-- owed to the priorities below each one. The function changes it, and the caller keeps it from pass to pass.
local function split_admissions(allowed, lengths, share, owed)
  local taken, left, below = {0, 0, 0, 0}, {}, {0}
  for class = 1, 4 do
    left[class] = lengths[class]
    below[class + 1] = below[class] + lengths[class]
  end
  for _ = 1, math.min(allowed, below[5]) do
    local chosen
    for class = 4, 1, -1 do
      if left[class] > 0 and not chosen then
        if below[class] == 0 then
          chosen = class
        else
          owed[class] = owed[class] + 1 - share
          if owed[class] < 0.999999 then
            chosen = class
          else
            owed[class] = math.max(0, owed[class] - 1)
          end
        end
      end
    end
    taken[chosen] = taken[chosen] + 1
    left[chosen] = left[chosen] - 1
    for class = chosen + 1, 5 do
      below[class] = below[class] - 1
    end
  end
  return taken
end
