/** What the waiting page says while nothing is heard of the waiting room: what is known, and nothing beyond it. */

const EVERY_MS = 1_000;
const MINUTES_FROM_S = 120;
const WHY = { offline: "offline", unreachable: "unreachable", broken: "reconnecting" };

/**
 * Say for how long a place is still kept, second by second to the eye, and to the ear when something else is known.
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
    /** Whether nothing is heard just now. */
    get isAway() {
      return said !== "";
    },
    /** Begin to count, or go on with what is known now: see `connection` in wr.d.ts. */
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

/** What to say at a time, in lines; the phase changes when that is more than another number. */
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
