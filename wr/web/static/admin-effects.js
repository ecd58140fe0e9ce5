/** What a setting will do, said before it is saved. Pure: settings and figures in, a sentence out. */

import { waitSeconds } from "./admin-forecast.js";
import { count, duration, people, perSecond, plain } from "./admin-formats.js";

/**
 * State what a queue does with these settings, or what is wrong with them.
 * @param {string} name the setting that is told about
 * @param {Record<string, any>} settings all settings as they would be
 * @param {{current_waiting: number, current_active: number}} stats
 * @param {number|null} ending sessions that end per second for each that is on; null: not known
 * @returns {string} empty where there is nothing to say
 */
export function effectOf(name, settings, stats, ending = null) {
  const tell = EFFECTS[name];
  return tell ? tell(settings, stats, ending) : "";
}

const UNIQUE_BY = {
  client: "Same user id, address and browser: the same place. Joins without a user id are never the same.",
  user_id: "Same user id: the same place, from wherever it joins.",
  ip: "One place for each address: people behind one address share it.",
  none: "Only somebody who shows a position token gets the same place again.",
};

const EFFECTS = {
  admission_rate(settings, { current_waiting: waiting, current_active: active }, ending) {
    const { admission_rate: rate, max_active_users: most } = settings;
    if (!waiting) return `Nobody waits: up to ${plain(rate)} people get in each second.`;
    const freely = waiting / rate;
    const seconds = ending === null ? freely : waitSeconds(settings, active, ending, waiting);
    const resumed = settings.status === "active" ? "" : ", once it is resumed";
    const clears = `At ${plain(rate)}/s the line of ${count(waiting)} clears in about ${duration(Math.max(1, seconds))}${resumed}`;
    if (seconds > freely * 1.1 + 1)
      return `${clears}: the ${count(most)} places inside fill up, and people get in as others leave.`;
    const room = Math.max(0, most - active);
    if (room < waiting)
      return `${clears} if enough people leave: ${count(room)} of ${count(most)} places are free.`;
    return `${clears}.`;
  },
  max_active_users({ max_active_users: most, session_timeout_seconds: lasts }, { current_active: active }) {
    if (active > most)
      return `${count(active)} are inside: nobody gets in until fewer than ${count(most)} are.`;
    const turnover = `a full room lets in at least ${perSecond(most / lasts)}`;
    if (active === most) return `No room for more; ${turnover}.`;
    return `Room for ${count(most - active)} more at once; ${turnover}.`;
  },
  max_queue_size({ max_queue_size: most }, { current_waiting: waiting }) {
    if (most === 0) return "The line may grow without limit.";
    if (waiting < most) return `Room in line for ${count(most - waiting)} more.`;
    return `${count(waiting)} wait already: they keep their places, and nobody new joins until fewer than ${count(most)} wait.`;
  },
  session_timeout_seconds({ session_timeout_seconds: lasts }) {
    return `People who get in from now on have ${duration(lasts)}; those inside keep the time they were given.`;
  },
  heartbeat_interval_seconds({ heartbeat_interval_seconds: every }, { current_waiting: waiting }) {
    const load = waiting ? `; ${people(waiting)} in line send up to ${perSecond(waiting / every)}` : "";
    return `Visitors show every ${duration(every)} that they are there${load}.`;
  },
  heartbeat_timeout_seconds({ heartbeat_timeout_seconds: silence, heartbeat_interval_seconds: every }) {
    if (silence <= every)
      return `Too short: heartbeats are ${duration(every)} apart. It must be longer than that.`;
    return `People silent for longer than ${duration(silence)} lose their place: now ${duration(every)} between heartbeats.`;
  },
  unique_by: ({ unique_by: rule }) => UNIQUE_BY[rule] ?? "",
  name: ({ name }) => (name ? `People read “${name}” on the waiting page.` : ""),
  target_url({ target_url: target }) {
    const host = hostOf(target);
    return host ? `People who get in are sent to ${host}.` : "";
  },
  message: ({ message }) =>
    message ? "Shown on the waiting page within seconds." : "The waiting page shows no message.",
  page_template: ({ page_template: page }) => (page ? "" : "The waiting page is the usual one."),
};

function hostOf(address) {
  try {
    return new URL(address).host;
  } catch {
    return "";
  }
}
