/** The texts of the waiting page in one language, with numbers and times formatted for it. */

const MINUTE_S = 60;
const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;

/**
 * @param {string} language a BCP 47 tag
 * @param {Record<string, string | Record<string, string>>} texts by key; texts with a number by plural form
 */
export function makeWords(language, texts) {
  const plural = new Intl.PluralRules(language);
  const digits = new Intl.NumberFormat(language);
  const calendar = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
  const clock = new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit", second: "2-digit" });

  const text = (key, values = {}) => {
    const found = texts[key];
    const form = typeof found === "string" ? found : (found[plural.select(values.n)] ?? found.other);
    return form.replace(/\{(\w+)\}/g, (_, name) => (name === "n" ? digits.format(values.n) : values[name]));
  };

  return {
    text,
    number: (value) => digits.format(value),
    time: (date) => clock.format(date),
    moment: (date) => calendar.format(date),
    /** An estimated wait in words, rounded because it is an estimate. The server does it in the same way. */
    wait(seconds) {
      if (seconds < MINUTE_S) return text("wait.less");
      if (seconds < 90 * MINUTE_S) return text("wait.minutes", { n: Math.round(seconds / MINUTE_S) });
      if (seconds < DAY_S) return text("wait.hours", { n: Math.round(seconds / HOUR_S) });
      return text("wait.long");
    },
  };
}
