/** Repeats a request at intervals, obeys `Retry-After`, and pauses while the page is hidden. */

/**
 * Run a task at once and then repeatedly. It pauses while the page is hidden, and runs at once when the page is
 * visible again. If `task` throws an error with `retryAfter` (seconds), the next run waits at least that long.
 * @param {() => Promise<void>} task throws an error if it fails
 * @param {number} seconds pause between the end of a run and the next start
 * @param {(error: Error) => void} onError
 * @returns {{now: () => Promise<void>, anew: () => Promise<void>, stop: () => void}} `now` waits for the current run
 *   or starts one. `anew` starts a new run after the current one, whose request may be older than a change
 */
export function repeat(task, seconds, onError) {
  let timer = 0;
  let stopped = false;
  let running = null;
  let notBefore = 0;

  async function run() {
    clearTimeout(timer);
    let wait = seconds;
    try {
      await task();
    } catch (error) {
      if (error.retryAfter > seconds) {
        wait = error.retryAfter;
        notBefore = Date.now() + wait * 1000;
      }
      if (!stopped) onError(error);
    }
    running = null;
    if (!stopped && !document.hidden) timer = setTimeout(now, wait * 1000);
  }
  function now() {
    if (stopped) return Promise.resolve();
    running ??= run();
    return running;
  }
  function onVisibility() {
    if (document.hidden) clearTimeout(timer);
    else if (Date.now() >= notBefore) now();
    else timer = setTimeout(now, notBefore - Date.now());
  }
  document.addEventListener("visibilitychange", onVisibility);
  if (!document.hidden) now();
  return {
    now,
    async anew() {
      if (running) await running;
      await now();
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisibility);
    },
  };
}
