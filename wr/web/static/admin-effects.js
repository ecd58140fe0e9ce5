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
    "Same user id, address and browser: the same place, without a proof. For places that are not worth stealing. Joins without a user id are never the same.",
  user_id:
    "One place for each user id. The id counts only with a pass, or in a call by the site itself; a visitor that merely claims one gets a place of its own.",
  ip: "One place for each address. It is given back to its own token alone: others behind that address cannot join.",
  none: "Every join is a new place, unless it brings a position token, or a pass that has one.",
};

const SESSION_BINDING = {
  none: "A session is open to everybody who has its cookie, from wherever.",
  network: "A session opens the gate to at most 4 networks in an hour: enough for a phone that moves.",
  browser: "A session opens the gate to at most 2 browsers in an hour, as they name themselves.",
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
  entry: ({ entry }) =>
    entry === "pass"
      ? "A presale: only visitors with a pass can join, and those that the site itself puts in line. Those in line keep their places."
      : "Everybody can join.",
  max_places_per_address({ max_places_per_address: most, max_queue_size: longest }) {
    if (most === 0) return "One address can fill the whole line.";
    const held = `One address holds up to ${count(most)} in line; places taken with a pass do not count.`;
    if (longest === 0) return held;
    return longest <= most
      ? `${held} That is the whole line.`
      : `${held} ${count(Math.ceil(longest / most))} addresses fill the line.`;
  },
  open_priority({ open_priority: open }) {
    if (open === 0) return "A higher priority takes a pass, or a call by the site itself.";
    if (open > 3) return "3 is the highest priority.";
    const more = open < 3 ? "; a higher one takes a pass." : ".";
    return `Anybody can ask for priority ${open} and stands before those who do not${more}`;
  },
  priority_share({ priority_share: share }) {
    if (share > 1) return "Too much: 1 is everybody who gets in.";
    if (share === 1) return "Strict order: lower priorities wait until nobody of a higher one does.";
    return `While lower priorities wait, of 100 who get in up to ${plain(share * 100)} are of a higher one.`;
  },
  name: ({ name }) => (name ? `People read “${name}” on the waiting page.` : ""),
  target_url({ target_url: target }) {
    const host = hostOf(target);
    return host ? `People who get in are sent to ${host}.` : "";
  },
  open_paths({ open_paths: text }) {
    const paths = wordsOf(text);
    if (!paths.length) return "No path is open: who has no session waits everywhere.";
    if (paths.includes("/*")) return "/* opens the whole site: nobody has to wait.";
    const open = paths.length === 1 ? "1 path is" : `${count(paths.length)} paths are`;
    return `${open} open to everybody, without a session.`;
  },
  open_addresses({ open_addresses: text }) {
    const networks = wordsOf(text);
    const widest = networks.find((each) => /\/0+$/.test(each));
    if (widest)
      return `${widest} lets in everybody with an ${widest.includes(":") ? "IPv6" : "IPv4"} address.`;
    return networks.length ? "Whoever comes from there never waits." : "";
  },
  open_agents: ({ open_agents: text }) =>
    wordsOf(text).length ? "Whoever claims to be one sees the whole site, from any address." : "",
  outage_policy({ outage_policy: policy, outage_grace_seconds: grace, outage_rate: rate }) {
    const from = grace ? `after the first ${duration(grace)}` : "at once";
    if (policy === "closed")
      return "While the store is away, nobody new gets in; who has a session stays in.";
    if (policy === "open") return `While the store is away, everybody gets in ${from}.`;
    if (policy !== "budget") return "";
    if (rate === 0) return "While the store is away, nobody new gets in: the pace is 0.";
    return `While the store is away, each server lets in up to ${plain(rate)} a second ${from}.`;
  },
  outage_grace_seconds({ outage_policy: policy, outage_grace_seconds: grace, outage_rate: rate }) {
    if (policy === "closed" || (policy === "budget" && rate === 0))
      return "Without effect: nobody new gets in, however long the store is away.";
    if (grace === 0) return "The gate opens as soon as the store is away.";
    return `An outage shorter than ${duration(grace)} lets nobody new in.`;
  },
  outage_rate({ outage_policy: policy, outage_rate: rate }) {
    if (policy !== "budget") return "Without effect: it counts where so many a second get in.";
    if (rate === 0) return "Nobody new gets in while the store is away.";
    return `Each server counts by itself: two let in up to ${plain(rate * 2)} a second.`;
  },
  session_binding: ({ session_binding: binding }) => SESSION_BINDING[binding] ?? "",
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
