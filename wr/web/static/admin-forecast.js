/** How long a place in line takes, reckoned as the server does (wr/model/pace.py), for settings not yet saved. */

/**
 * Seconds until the person at `position` (from 1) is let in.
 * @param {{admission_rate: number, max_active_users: number}} settings
 * @param {number} active sessions that are on
 * @param {number} ending sessions that end per second for each that is on
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
 * How fast sessions must be ending for the server to foresee what it does; null where that does not show,
 * because the admission rate alone decides or nobody waits.
 * @param {{admission_rate: number, max_active_users: number, session_timeout_seconds: number}} settings
 * @param {{current_waiting: number, current_active: number}} stats
 * @param {number|undefined} foreseen seconds that the last in line waits, as the server says
 */
export function endingPace(settings, { current_waiting: waiting, current_active: active }, foreseen) {
  if (!waiting || !foreseen || foreseen <= (waiting / settings.admission_rate) * 1.1 + 1) return null;
  // The slower sessions end, the longer the wait: the pace is found by halving, in steps of a factor.
  let slowest = 1e-9;
  let quickest = settings.admission_rate / settings.max_active_users;
  for (let step = 0; step < 60; step += 1) {
    const middle = Math.sqrt(slowest * quickest);
    if (waitSeconds(settings, active, middle, waiting) > foreseen) slowest = middle;
    else quickest = middle;
  }
  return quickest;
}
