/** Estimates the wait for settings that are not saved yet, with the server's formula (wr/model/wait_estimate.py). */

/**
 * Seconds until the visitor at `position` (from 1) is admitted.
 * @param {{admission_rate: number, max_active_users: number}} settings
 * @param {number} active number of active sessions
 * @param {number} ending share of the active sessions that ends in each second
 * @param {number} position
 */
export function waitSeconds({ admission_rate: entry, max_active_users: most }, active, ending, position) {
  const turnover = ending * most;
  const freely = position / entry;
  if (entry <= turnover) return freely;
  const fillsIn = Math.log((entry - ending * Math.min(active, most)) / (entry - turnover)) / ending;
  if (freely <= fillsIn) return freely;
  return fillsIn + (position - entry * fillsIn) / turnover;
}

/**
 * The speed at which sessions end, computed from the server's estimate of the wait. Null if it cannot be computed,
 * because only the admission rate matters or nobody waits.
 * @param {{admission_rate: number, max_active_users: number, session_timeout_seconds: number}} settings
 * @param {{current_waiting: number, current_active: number}} stats
 * @param {number|undefined} foreseen the server's estimate for the last visitor in line, in seconds
 */
export function endingPace(settings, { current_waiting: waiting, current_active: active }, foreseen) {
  if (!waiting || !foreseen || foreseen <= (waiting / settings.admission_rate) * 1.1 + 1) return null;
  // The slower sessions end, the longer the wait. So a binary search on a logarithmic scale finds the speed.
  let slowest = 1e-9;
  let quickest = settings.admission_rate / settings.max_active_users;
  for (let step = 0; step < 60; step += 1) {
    const middle = Math.sqrt(slowest * quickest);
    if (waitSeconds(settings, active, middle, waiting) > foreseen) slowest = middle;
    else quickest = middle;
  }
  return quickest;
}
