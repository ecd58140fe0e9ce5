/** The texts of the waiting page while it has no connection: only what is known for sure. */

const EVERY_MS = 1_000;
const MINUTES_FROM_S = 120;
const WHY = { offline: "offline", unreachable: "unreachable", broken: "reconnecting" };

/**
 * Show how long a place is still kept. The text changes every second; screen readers read out only real changes.
 *
 * @param {{ text: Function }} words
 * @param {(text: string, isNews: boolean) => void} show
 */
export function makeAway(words, show) {
  let timer = 0;
  let said = "";

  const count = (interruption) => {
    const { phase, lines } = spell(words, interruption, Date.now());
    show(lines.join("\n"), phase !== said);
    said = phase;
  };

  return {
    /** Whether there is no connection just now. */
    get isAway() {
      return said !== "";
    },
    /** Start to count, or continue with new facts: see `connection` in wr.d.ts. */
    begin(interruption) {
      clearInterval(timer);
      timer = setInterval(count, EVERY_MS, interruption);
      count(interruption);
    },
    end() {
      clearInterval(timer);
      said = "";
    },
  };
}

/** The lines to show at a time. The phase changes when more than a number changes. */
function spell(words, { cause, keptUntil }, nowMs) {
  if (cause === "unavailable") return { phase: cause, lines: [words.text("outage")] };
  const why = words.text(WHY[cause]);
  if (keptUntil === null) return { phase: cause, lines: [why] };
  const leftS = Math.floor((keptUntil - nowMs) / 1000);
  if (leftS > 0) return { phase: `${cause}, kept`, lines: [why, stillKept(words, leftS)] };
  return { phase: `${cause}, over`, lines: [why, words.text(cause === "offline" ? "maybe" : "maybe.unreachable")] };
}

function stillKept(words, seconds) {
  if (seconds < MINUTES_FROM_S) return words.text("still.seconds", { n: seconds });
  return words.text("still.minutes", { n: Math.floor(seconds / 60) });
}
