/** The audit trail: which operator changed what, and when. */

import { Left, audit } from "./admin-api.js";
import { element, fill, write } from "./admin-dom.js";
import { labelOf, valueText } from "./admin-fields.js";
import { moment } from "./admin-formats.js";

const DEEDS = {
  "queue.created": "created the queue",
  "queue.updated": "changed the queue",
  "queue.deleted": "deleted the queue",
  "queue.flushed": "emptied the line of",
  "session.terminated": "ended a session in",
  "visitor.blocked": "blocked a visitor or an address in",
  "block.ended": "ended a block in",
  "passes.issued": "issued passes for",
  "pass.revoked": "revoked a pass of",
  "keys.rotated": "created new signing keys",
};

/** The view with all changes, newest first. */
export function auditView() {
  const trail = auditTrail({ limit: 50 });
  const node = element(
    "div",
    {},
    element("div", { class: "heading" }, element("h1", { tabindex: "-1" }, "Changes"), trail.again),
    element(
      "p",
      { class: "hint" },
      "All changes by operators, on every server that shares the store. The names are those that operators entered at sign-in, and are not verified. The addresses are those of the operators.",
    ),
    trail.node,
  );
  return { title: "Changes", node };
}

/**
 * A list of changes.
 * @param {{queueId?: string, limit?: number}} of
 */
export function auditTrail({ queueId = "", limit = 50 } = {}) {
  const list = element("ol", { class: "trail" });
  const note = element("p", { class: "hint", role: "status" }, "Loading…");
  const more = element("button", { type: "button", hidden: true, onclick: older }, "Older changes");
  const again = element("button", { type: "button", onclick: () => now() }, "Refresh");
  let next = null;

  async function load(before) {
    try {
      const answer = await audit({ queueId, limit, before });
      const items = answer.entries.map((entry) => trailEntry(entry, !queueId));
      if (before) list.append(...items);
      else fill(list, items);
      next = answer.next;
      more.hidden = !next;
      write(note, list.children.length ? "" : "There are no changes yet.");
      return items[0];
    } catch (error) {
      if (!(error instanceof Left)) write(note, `The changes could not be loaded: ${error.message}.`);
      return undefined;
    }
  }
  async function older() {
    const first = await load(next);
    // The button may be hidden now, so the focus moves to the first new entry.
    if (more.hidden && first) {
      first.tabIndex = -1;
      first.focus();
    }
  }
  const now = () => load("");
  now();
  return { node: element("div", {}, note, list, more), again, now };
}

function trailEntry(entry, namesQueue) {
  const changes = Object.entries(entry.changes ?? {});
  const facts = Object.entries(entry.facts ?? {}).filter(([, value]) => value !== "");
  const deed = DEEDS[entry.action] ?? entry.action;
  const queue =
    entry.queue_id &&
    (entry.action === "queue.deleted" || !namesQueue
      ? element("span", { class: "queue-id" }, entry.queue_id)
      : element("a", { href: `#/queues/${encodeURIComponent(entry.queue_id)}` }, entry.queue_id));
  return element(
    "li",
    {},
    element("p", {}, element("strong", {}, entry.operator || "An operator"), ` ${deed} `, queue),
    changes.length > 0 &&
      element(
        "ul",
        { class: "changes" },
        changes.map(([name, change]) => element("li", {}, changeText(name, change))),
      ),
    factsNode(facts, entry.action === "queue.created" ? "With these settings" : "Details"),
    element(
      "p",
      { class: "hint when" },
      element("time", { datetime: entry.at }, moment(new Date(entry.at))),
      entry.address && ` · from ${entry.address}`,
    ),
  );
}

function changeText(name, change) {
  const to = valueText(name, change.to);
  return change.from === null || change.from === undefined
    ? `${labelOf(name)}: ${to}`
    : `${labelOf(name)}: ${valueText(name, change.from)} → ${to}`;
}

/** A few facts are shown directly. A long list, such as all settings of a new queue, has to be opened. */
function factsNode(facts, summary) {
  const text = facts.map(([name, value]) => `${labelOf(name)}: ${valueText(name, value)}`).join(" · ");
  if (!text) return null;
  const told = element("p", { class: "facts" }, text);
  return facts.length > 3
    ? element("details", {}, element("summary", {}, summary), told)
    : told;
}
