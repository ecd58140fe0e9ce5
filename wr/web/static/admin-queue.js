/** The page of one queue: figures, charts, actions, settings and changes. */

import { ending, steering } from "./admin-actions.js";
import { getQueue } from "./admin-api.js";
import { auditTrail } from "./admin-audit.js";
import { blocksPanel } from "./admin-blocks.js";
import { chartsPanel } from "./admin-charts.js";
import { element, fill, write } from "./admin-dom.js";
import { queueFigures } from "./admin-figures.js";
import { waitingPage } from "./admin-link.js";
import { passesPanel } from "./admin-passes.js";
import { STATUS_EFFECT, setStatus, statusBadge } from "./admin-overview.js";
import { settingsForm } from "./admin-settings.js";

/** The page of the queue in the URL. */
export function queueView({ parameter: queueId, refresh }) {
  const title = element("h1", { tabindex: "-1" }, queueId);
  const id = element("code", {}, queueId);
  const badge = statusBadge("active");
  const effect = element("p", { class: "status-effect" });
  const body = element("div", {}, element("p", { class: "empty" }, "Loading…"));
  const node = element(
    "div",
    {},
    element("p", { class: "back" }, element("a", { href: "#/" }, "Queues")),
    element("div", { class: "heading" }, title, badge, id),
    body,
  );
  let parts = null;
  let latest = null;

  // Lists leave out the page template, so it is requested when the queue has changed.
  let whole = {};
  async function askForTemplate({ queue, stats, estimated_wait_seconds: estimated }) {
    whole = { ...whole, updated_at: queue.updated_at };
    try {
      const { page_template: template = "" } = await getQueue(queue.id);
      whole = { page_template: template, updated_at: queue.updated_at };
      parts?.settings.update({ ...queue, ...whole }, stats, estimated);
    } catch {
      // The figures show if the server is unreachable. The next run requests it again.
      whole.updated_at = "";
    }
  }
  const changed = async () => {
    await refresh();
    await parts?.trail.now();
  };
  function shut() {
    parts?.charts.close();
    parts = null;
  }

  return {
    title: queueId,
    node,
    close: shut,
    update({ queues }) {
      if (!queues) return;
      latest = queues.find((each) => each.queue.id === queueId) ?? null;
      badge.hidden = !latest;
      if (!latest) {
        shut();
        if (!body.querySelector(".gone")) fill(body, gone(queueId));
        return;
      }
      parts ??= openParts(body, effect, queueId, () => latest, changed);
      write(title, latest.queue.name);
      id.hidden = latest.queue.name === queueId;
      setStatus(badge, latest.queue.status);
      write(effect, STATUS_EFFECT[latest.queue.status] ?? "");
      parts.figures.update(latest);
      if (whole.updated_at !== latest.queue.updated_at) askForTemplate(latest);
      parts.settings.update({ ...whole, ...latest.queue }, latest.stats, latest.estimated_wait_seconds);
      parts.steer.update(latest);
    },
  };
}

/** Fill the page of an existing queue. */
function openParts(body, effect, queueId, latest, changed) {
  const figures = queueFigures();
  const charts = chartsPanel(queueId);
  const settings = settingsForm(queueId, changed);
  const trail = auditTrail({ queueId, limit: 10 });
  const steer = steering(queueId, changed);
  const blocks = blocksPanel(queueId, () => trail.now());
  const told = () => Promise.all([trail.now(), blocks.now()]);
  fill(
    body,
    element("div", { class: "status-line" }, effect, steer.node),
    element("section", { class: "panel", "aria-label": "Figures" }, figures.node),
    charts.node,
    element(
      "section",
      { class: "panel", "aria-labelledby": "settings-title" },
      element("h2", { id: "settings-title" }, "Settings"),
      settings.node,
    ),
    element("div", { class: "columns" }, waitingPage(queueId), ending(queueId, latest, changed)),
    element("div", { class: "columns" }, passesPanel(queueId, told), blocks.node),
    element(
      "section",
      { class: "panel", "aria-labelledby": "trail-title" },
      element(
        "div",
        { class: "heading" },
        element("h2", { id: "trail-title" }, "Changes of this queue"),
        trail.again,
      ),
      trail.node,
    ),
  );
  return { figures, charts, settings, trail, steer };
}

function gone(queueId) {
  const back = element("a", { href: "#/" }, "See all queues");
  return element("p", { class: "panel empty gone" }, `There is no queue called ${queueId}. `, back);
}
