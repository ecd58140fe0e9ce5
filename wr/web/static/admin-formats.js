/** Formats numbers, rates, times and durations, in the browser's language and time zone. */

const integers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const exact = new Intl.NumberFormat(undefined, { maximumFractionDigits: 6 });
const tenths = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const hundredths = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const clockTimes = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const shortTimes = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

const SPACE = "\u00a0";

/** 1523 → 1,523 */
export const count = (value) => integers.format(value);

/** A number with all its digits. */
export const plain = (value) => exact.format(value);

/** A measured rate, with significant digits only. 9.4833 → 9.48/s, 148.2 → 148/s */
export function perSecond(value) {
  const numbers = value < 10 ? hundredths : value < 100 ? tenths : integers;
  return `${numbers.format(value)}/s`;
}

/** A duration, given in seconds: 76 s, 4 min 10 s, 25 min, 3 h 20 min, 2 d 4 h. Number and unit stay on one line. */
export function duration(seconds) {
  if (seconds > 0 && seconds < 10) return `${tenths.format(seconds)}${SPACE}s`;
  const whole = Math.round(seconds);
  if (whole < 120) return `${integers.format(whole)}${SPACE}s`;
  if (whole < 600) return pair(Math.floor(whole / 60), "min", whole % 60, "s");
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return `${minutes}${SPACE}min`;
  if (minutes < 48 * 60) return pair(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.round(minutes / 60);
  if (hours < 24 * 365) return pair(Math.floor(hours / 24), "d", hours % 24, "h");
  return "more than a year";
}

/** The time of day, to the second. */
export const clock = (date) => clockTimes.format(date);

/** The time of day, to the minute. */
export const shortClock = (date) => shortTimes.format(date);

/** Date and time, to the second. */
export const moment = (date) => moments.format(date);

/** One person, 2 people. */
export const people = (number) => (number === 1 ? "1 person" : `${count(number)} people`);

function pair(large, largeUnit, small, smallUnit) {
  return small ? `${large}${SPACE}${largeUnit} ${small}${SPACE}${smallUnit}` : `${large}${SPACE}${largeUnit}`;
}
