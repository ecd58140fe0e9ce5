/** The overview of all queues. */

import { element, fill, setPart, write } from "./admin-dom.js";
import { count, duration, perSecond, plain } from "./admin-formats.js";

export const STATUS_TEXT = { active: "Active", paused: "Paused", maintenance: "Maintenance" };
export const STATUS_EFFECT = {
  active: "Visitors can join and are let in.",
  paused: "Visitors can join and keep their places. No visitors are let in.",
  maintenance: "New visitors cannot join, and no visitors are let in. Visitors in line keep their places.",
};

/** The list of queues. `update` takes the newest figures. */
export function overviewView() {
  const summary = element("p", { class: "summary" });
  const list = element("ul", { class: "queues" });
  const body = element("div", {}, element("p", { class: "empty" }, "Loading the queues…"));
  const node = element(
    "div",
    {},
    element(
      "div",
      { class: "heading" },
      element("h1", { tabindex: "-1" }, "Queues"),
      element("a", { class: "button primary", href: "#/new" }, "New queue"),
    ),
    summary,
    body,
  );
  const rows = new Map();

  function update({ queues }) {
    if (!queues) return;
    write(summary, queues.length ? totals(queues) : "");
    if (!queues.length) {
      rows.clear();
      if (!body.querySelector(".first")) fill(body, noQueues());
      return;
    }
    if (body.firstChild !== list) fill(body, list);
    const ids = new Set(queues.map((each) => each.queue.id));
    for (const [id, row] of rows) {
      if (!ids.has(id)) {
        row.node.remove();
        rows.delete(id);
      }
    }
    queues.forEach((each, index) => {
      const id = each.queue.id;
      if (!rows.has(id)) rows.set(id, queueRow(id));
      const row = rows.get(id);
      row.update(each);
      // Move an entry only if necessary, because moving removes the focus from it.
      if (list.children[index] !== row.node) list.insertBefore(row.node, list.children[index] ?? null);
    });
  }
  return { title: "Queues", node, update };
}

/** Words that say when the line of a queue will be empty. */
export function clearsText({ queue, stats, clears_in_seconds: clears }) {
  if (!stats.current_waiting) return "no line";
  if (queue.status !== "active" || clears === null) return "not moving";
  return `about ${duration(clears ?? Math.max(1, stats.current_waiting / queue.admission_rate))}`;
}

/** A status, shown by text, sign and colour. */
export function statusBadge(status) {
  const node = element("span", { class: "badge" });
  setStatus(node, status);
  return node;
}

export function setStatus(badge, status) {
  write(badge, STATUS_TEXT[status] ?? status);
  badge.dataset.status = status;
}

function queueRow(id) {
  const name = element("a", { class: "queue-name", href: `#/queues/${encodeURIComponent(id)}` });
  const badge = statusBadge("active");
  const figures = {
    waiting: figure("Waiting"),
    active: figure("Inside", true),
    rate: figure("Let in"),
    clears: figure("Line clears in"),
    joined: figure("Joined today"),
  };
  const node = element(
    "li",
    {},
    element("div", { class: "queue-title" }, name, badge, element("code", {}, id)),
    element(
      "dl",
      { class: "figures" },
      Object.values(figures).map((each) => each.node),
    ),
  );
  return {
    node,
    update(each) {
      const { queue, stats } = each;
      write(name, queue.name);
      setStatus(badge, queue.status);
      figures.waiting.show(
        count(stats.current_waiting),
        queue.max_queue_size ? `of ${count(queue.max_queue_size)}` : "",
      );
      figures.active.show(count(stats.current_active), `of ${count(queue.max_active_users)}`);
      figures.active.bar(stats.current_active / queue.max_active_users);
      figures.rate.show(perSecond(stats.admission_rate_actual), `set ${plain(queue.admission_rate)}/s`);
      figures.clears.show(clearsText(each), "");
      figures.joined.show(count(stats.total_enqueued_today), `${count(stats.total_admitted_today)} let in`);
    },
  };
}

/** One figure with its name. `bar` adds a bar that shows how full something is. */
export function figure(label, hasBar = false) {
  const value = element("span", { class: "value" });
  const note = element("span", { class: "note" });
  const bar = hasBar && element("span", { class: "bar", "aria-hidden": "true" });
  const node = element("div", {}, element("dt", {}, label), element("dd", {}, value, " ", note, bar));
  return {
    node,
    show(text, more = "") {
      write(value, text);
      write(note, more);
    },
    bar(part) {
      setPart(bar, part);
      bar.classList.toggle("full", part >= 1);
    },
  };
}

function totals(queues) {
  const sum = (of) => queues.reduce((total, each) => total + of(each.stats), 0);
  const number = queues.length === 1 ? "1 queue" : `${count(queues.length)} queues`;
  const waiting = count(sum((stats) => stats.current_waiting));
  const inside = count(sum((stats) => stats.current_active));
  return `${number} · ${waiting} waiting · ${inside} inside · ${perSecond(sum((stats) => stats.admission_rate_actual))} let in over the last minute`;
}

function noQueues() {
  return element(
    "div",
    { class: "panel first" },
    element("h2", {}, "There is no queue yet"),
    element(
      "p",
      {},
      "A queue is a line in front of one page of your site. People wait in it, and are sent to that page when it is their turn.",
    ),
    element("p", {}, element("a", { class: "button primary", href: "#/new" }, "Create the first queue")),
  );
}
