/** Asking again and again, as seldom as the server wishes and never while nobody looks. */

/**
 * Do something at once and then every so often; while the page is hidden it rests, and when it is seen again it
 * goes on at once. Where `task` throws something with `retryAfter` (seconds), the next time waits for that.
 * @param {() => Promise<void>} task throws what went wrong
 * @param {number} seconds from one end to the next beginning
 * @param {(error: Error) => void} onError
 * @returns {{now: () => Promise<void>, anew: () => Promise<void>, stop: () => void}} `now` joins what is under way,
 *   `anew` begins after it: what was asked before a change does not tell of it
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
