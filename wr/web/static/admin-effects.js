/** Describes the effect of a setting before it is saved. Pure functions: settings and figures in, a sentence out. */

import { waitSeconds } from "./admin-forecast.js";
import { wordsOf } from "./admin-fields.js";
import { count, duration, people, perSecond, plain } from "./admin-formats.js";

/**
 * Describe what a queue does with these settings, or what is wrong with them.
 * @param {string} name the setting to describe
 * @param {Record<string, any>} settings all settings as they would be after saving
 * @param {{current_waiting: number, current_active: number}} stats
 * @param {number|null} ending share of the active sessions that ends in each second; null if not known
 * @returns {string} empty if there is nothing to say
 */
export function effectOf(name, settings, stats, ending = null) {
  const tell = EFFECTS[name];
  return tell ? tell(settings, stats, ending) : "";
}

const UNIQUE_BY = {
  client:
    "A visitor with the same user id, address and browser gets the same place, without proof. Use this only for places that are not worth stealing. A join without a user id always gets a new place.",
  user_id:
    "One place for each user id. The id counts only with a pass or in a call by your site. A visitor that only claims an id gets a new place.",
  ip: "One place for each address. Only the token of the place gives it back: other visitors behind the same address cannot join.",
  none: "Every join gets a new place, unless it brings a position token, or a pass that already has a place.",
};

const SESSION_BINDING = {
  none: "Anyone who has the cookie of a session can use it, from anywhere.",
  network: "A session opens the gate from at most 4 networks in an hour. That is enough for a phone that changes networks.",
  browser: "A session opens the gate from at most 2 browsers in an hour. Browsers are told apart by their user agent.",
};

const EFFECTS = {
  admission_rate(settings, { current_waiting: waiting, current_active: active }, ending) {
    const { admission_rate: rate, max_active_users: most } = settings;
    if (!waiting) return `The line is empty: up to ${plain(rate)} people get in each second.`;
    const freely = waiting / rate;
    const seconds = ending === null ? freely : waitSeconds(settings, active, ending, waiting);
    const resumed = settings.status === "active" ? "" : ", once it is resumed";
    const clears = `At ${plain(rate)}/s the line of ${count(waiting)} clears in about ${duration(Math.max(1, seconds))}${resumed}`;
    if (seconds > freely * 1.1 + 1)
      return `${clears}: all ${count(most)} places inside fill up, and then people get in as others leave.`;
    const room = Math.max(0, most - active);
    if (room < waiting)
      return `${clears} if enough people leave: ${count(room)} of ${count(most)} places are free.`;
    return `${clears}.`;
  },
  max_active_users({ max_active_users: most, session_timeout_seconds: lasts }, { current_active: active }) {
    if (active > most)
      return `${count(active)} people are inside. More get in once there are fewer than ${count(most)}.`;
    const turnover = `a full room lets in at least ${perSecond(most / lasts)}`;
    if (active === most) return `No room for more; ${turnover}.`;
    return `Room for ${count(most - active)} more at once; ${turnover}.`;
  },
  max_queue_size({ max_queue_size: most }, { current_waiting: waiting }) {
    if (most === 0) return "The line may grow without limit.";
    if (waiting < most) return `Room in line for ${count(most - waiting)} more.`;
    return `${count(waiting)} are already waiting. They keep their places, and more can join once there are fewer than ${count(most)}.`;
  },
  session_timeout_seconds({ session_timeout_seconds: lasts }) {
    return `People who get in from now on have ${duration(lasts)}. People already inside keep the time they were given.`;
  },
  heartbeat_interval_seconds({ heartbeat_interval_seconds: every }, { current_waiting: waiting }) {
    const load = waiting ? `; ${people(waiting)} in line send up to ${perSecond(waiting / every)} in total` : "";
    return `Every visitor sends a heartbeat every ${duration(every)}${load}.`;
  },
  heartbeat_timeout_seconds({ heartbeat_timeout_seconds: silence, heartbeat_interval_seconds: every }) {
    if (silence <= every)
      return `Too short: it must be longer than the ${duration(every)} between two heartbeats.`;
    return `People who send no heartbeat for ${duration(silence)} lose their place. Heartbeats are now ${duration(every)} apart.`;
  },
  unique_by: ({ unique_by: rule }) => UNIQUE_BY[rule] ?? "",
  entry: ({ entry }) =>
    entry === "pass"
      ? "A presale: only visitors with a pass can join, and visitors that your site puts in line. Visitors already in line keep their places."
      : "Every visitor can join.",
  max_places_per_address({ max_places_per_address: most, max_queue_size: longest }) {
    if (most === 0) return "One address can fill the whole line.";
    const held = `One address can hold up to ${count(most)} places. Places taken with a pass do not count.`;
    if (longest === 0) return held;
    return longest <= most
      ? `${held} That is the whole line.`
      : `${held} ${count(Math.ceil(longest / most))} addresses fill the line.`;
  },
  open_priority({ open_priority: open }) {
    if (open === 0) return "A visitor needs a pass, or a call by your site, for a higher priority than 0.";
    if (open > 3) return "The highest priority is 3.";
    const more = open < 3 ? "; a higher priority needs a pass." : ".";
    return `Any visitor can ask for priority ${open}, and is then ahead of visitors who do not${more}`;
  },
  priority_share({ priority_share: share }) {
    if (share > 1) return "Too much: the highest share is 1, which is everyone who gets in.";
    if (share === 1) return "Strict order: a lower priority gets in only when no higher priority is waiting.";
    return `While lower priorities wait, at most ${plain(share * 100)} of 100 people who get in have a higher one.`;
  },
  name: ({ name }) => (name ? `Visitors see “${name}” on the waiting page.` : ""),
  target_url({ target_url: target }) {
    const host = hostOf(target);
    return host ? `People who get in are sent to ${host}.` : "";
  },
  open_paths({ open_paths: text }) {
    const paths = wordsOf(text);
    if (!paths.length) return "No path is open: visitors without a session wait, whatever page they ask for.";
    if (paths.includes("/*")) return "/* opens the whole site: no visitor has to wait.";
    const open = paths.length === 1 ? "1 path is" : `${count(paths.length)} paths are`;
    return `${open} open to every visitor, without a session.`;
  },
  open_addresses({ open_addresses: text }) {
    const networks = wordsOf(text);
    const widest = networks.find((each) => /\/0+$/.test(each));
    if (widest)
      return `${widest} lets in every visitor with an ${widest.includes(":") ? "IPv6" : "IPv4"} address.`;
    return networks.length ? "Visitors from these addresses never wait." : "";
  },
  open_agents: ({ open_agents: text }) =>
    wordsOf(text).length ? "Any client that claims such a user agent sees the whole site, from any address." : "",
  outage_policy({ outage_policy: policy, outage_grace_seconds: grace, outage_rate: rate }) {
    const from = grace ? `after the first ${duration(grace)}` : "at once";
    if (policy === "closed")
      return "While the store is unreachable, visitors with a session stay in, and no other visitor gets in.";
    if (policy === "open") return `While the store is unreachable, every visitor gets in ${from}.`;
    if (policy !== "budget") return "";
    if (rate === 0) return "While the store is unreachable, no new visitor gets in: the rate is 0.";
    return `While the store is unreachable, each server lets in up to ${plain(rate)} a second ${from}.`;
  },
  outage_grace_seconds({ outage_policy: policy, outage_grace_seconds: grace, outage_rate: rate }) {
    if (policy === "closed" || (policy === "budget" && rate === 0))
      return "No effect: no new visitor gets in, however long the store is unreachable.";
    if (grace === 0) return "The gate opens as soon as the store is unreachable.";
    return `In an outage shorter than ${duration(grace)}, no new visitor gets in.`;
  },
  outage_rate({ outage_policy: policy, outage_rate: rate }) {
    if (policy !== "budget") return "No effect: this setting counts only with “a limited number a second”.";
    if (rate === 0) return "No new visitor gets in while the store is unreachable.";
    return `Each server counts separately: two servers let in up to ${plain(rate * 2)} a second.`;
  },
  session_binding: ({ session_binding: binding }) => SESSION_BINDING[binding] ?? "",
  message: ({ message }) =>
    message ? "Shown on the waiting page within seconds." : "The waiting page shows no message.",
  page_template: ({ page_template: page }) => (page ? "" : "The queue uses the standard waiting page."),
};

function hostOf(address) {
  try {
    return new URL(address).host;
  } catch {
    return "";
  }
}
