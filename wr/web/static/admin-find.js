/** Finding a visitor by the id of a position or a session. */

import { Left, Refused, findPosition, findSession, terminateSession } from "./admin-api.js";
import { blockingFields } from "./admin-blocks.js";
import { confirm, say } from "./admin-dialogs.js";
import { element, fill, labelled } from "./admin-dom.js";
import { count, duration, moment } from "./admin-formats.js";

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const POSITION_STATES = {
  waiting: "Waiting in line",
  admitted: "Let in",
  expired: "Dropped for silence",
  cancelled: "Left",
  flushed: "Removed: the line was emptied",
  session_expired: "Was inside; the time has run out",
  session_terminated: "Was inside; ended by an operator",
};
const SESSION_STATES = {
  active: "Inside",
  expired: "The time has run out",
  cancelled: "Left",
  terminated: "Ended by an operator",
};
/** The fields to show, in this order. Other fields of the response follow them. */
const LABELS = {
  queue_id: "Queue",
  position: "Place in line",
  queue_length: "Length of the line",
  estimated_wait_seconds: "Estimated wait",
  priority: "Priority",
  enqueued_at: "Joined",
  last_seen_at: "Last heard from",
  session_started_at: "Let in",
  started_at: "Let in",
  session_expires_at: "May stay until",
  expires_at: "May stay until",
  remaining_seconds: "Time left",
  last_activity: "Last activity",
  page_views: "Page views",
  addresses: "Number of addresses it was used from",
  ended_at: "Ended",
  reason: "Why",
  metadata: "Sent with the join (not verified)",
  position_id: "Position id",
  session_id: "Session id",
};
const TIME = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;

/** The form and its result. If the URL has an id, it searches at once. */
export function findView({ parameter }) {
  const asked = labelled(
    "Position or session id",
    element("input", {
      type: "text",
      name: "id",
      autocomplete: "off",
      spellcheck: "false",
      autocapitalize: "none",
    }),
    "36 characters, such as 550e8400-e29b-41d4-a716-446655440000.",
  );
  const submit = element("button", { class: "primary", type: "submit" }, "Find");
  const form = element(
    "form",
    { class: "panel find", novalidate: true, role: "search" },
    asked.node,
    element("div", { class: "actions" }, submit),
  );
  const found = element("div", { "aria-live": "polite" });
  const node = element("div", {}, element("h1", { tabindex: "-1" }, "Find a visitor"), form, found);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const id = asked.input.value.trim().toLowerCase();
    asked.showError("");
    if (!ID.test(id)) {
      asked.showError("This is not an id. An id has 36 characters: digits, the letters a to f, and hyphens.");
      asked.input.focus();
      return;
    }
    const target = `#/find/${id}`;
    if (location.hash === target) look(id);
    else location.hash = target;
  });

  async function look(id) {
    submit.setAttribute("aria-busy", "true");
    try {
      // The version digit of the UUID shows the kind: 8 is a session, 4 is a position.
      const isSession = id[14] === "8";
      const facts = isSession ? await findSession(id) : await findPosition(id);
      fill(
        found,
        person(id, facts, isSession ? SESSION_STATES : POSITION_STATES, () => look(id)),
      );
    } catch (error) {
      if (error instanceof Left) return;
      const isGone = error instanceof Refused && [404, 410].includes(error.status);
      fill(
        found,
        element(
          "p",
          { class: "panel empty" },
          isGone ? "No queue has this id. A place or session is remembered for an hour after it ends." : error.message,
        ),
      );
    } finally {
      submit.removeAttribute("aria-busy");
    }
  }
  if (parameter) {
    asked.input.value = parameter;
    look(parameter);
  }
  return { title: "Find", node, focus: asked.input };
}

function person(id, facts, states, again) {
  const isInside = facts.session_id && ["admitted", "active"].includes(facts.status);
  const known = Object.keys(LABELS).filter((name) => name in facts);
  const others = Object.keys(facts).filter((name) => !(name in LABELS) && name !== "status");
  const rows = [...known, ...others].filter((name) => facts[name] !== null);
  return element(
    "section",
    { class: "panel", "aria-labelledby": "found-title" },
    element("h2", { id: "found-title", tabindex: "-1" }, states[facts.status] ?? facts.status),
    element(
      "dl",
      { class: "facts-list" },
      rows.map((name) =>
        element(
          "div",
          {},
          element("dt", {}, LABELS[name] ?? name.replaceAll("_", " ")),
          element("dd", {}, factNode(name, facts[name], id)),
        ),
      ),
    ),
    isInside &&
      element(
        "div",
        { class: "actions" },
        element(
          "button",
          { type: "button", class: "danger", onclick: () => end(facts, again) },
          "End this session…",
        ),
      ),
  );
}

function factNode(name, value, id) {
  if (name === "queue_id") return element("a", { href: `#/queues/${encodeURIComponent(value)}` }, value);
  // A position and its session link to each other.
  if (name.endsWith("_id"))
    return value === id
      ? element("code", {}, value)
      : element("a", { href: `#/find/${value}` }, element("code", {}, value));
  if (name.endsWith("_seconds")) return duration(value);
  if (typeof value === "string" && TIME.test(value))
    return element("time", { datetime: value }, moment(new Date(value)));
  if (typeof value === "number") return count(value);
  if (name === "metadata") return metadataNode(value);
  return typeof value === "string" ? value.replaceAll("_", " ") : JSON.stringify(value);
}

/** The metadata exactly as the visitor sent it. */
function metadataNode(metadata) {
  const entries = Object.entries(metadata);
  return element(
    "ul",
    {},
    entries.map(([name, value]) => element("li", {}, `${name}: ${value}`)),
  );
}

async function end(facts, again) {
  const blocking = blockingFields("both");
  const ended = await confirm({
    title: "End this session?",
    text: [
      "The visitor loses the session at once and has to join again. You can keep the visitor out for a while. If your site only checks the session token and does not ask this server, the token stays valid until it expires.",
    ],
    action: "End the session",
    isDanger: true,
    reason: "Reason",
    fields: blocking.nodes,
    run: (reason) => terminateSession(facts.session_id, { ...(reason && { reason }), ...blocking.wish() }),
  });
  if (ended) {
    const until = ended.blocked_until && moment(new Date(ended.blocked_until));
    say(until ? `The session has ended. Its visitor is kept out until ${until}.` : "The session has ended.");
    await again();
    document.getElementById("found-title")?.focus();
  }
}
