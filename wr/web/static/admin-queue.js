/** One queue: figures, charts, what can be done with it, its settings and its changes. */

import { Left, deleteQueue, flushQueue, getQueue, updateQueue } from "./admin-api.js";
import { auditTrail } from "./admin-audit.js";
import { chartsPanel } from "./admin-charts.js";
import { confirm, say } from "./admin-dialogs.js";
import { element, fill, newId, write } from "./admin-dom.js";
import { count, duration, people, perSecond, plain } from "./admin-formats.js";
import { STATUS_EFFECT, clearsText, figure, setStatus, statusBadge } from "./admin-overview.js";
import { settingsForm } from "./admin-settings.js";

/** The page of the queue in the address. */
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

  // Lists leave the template of the page out: it is asked for when the queue has been changed.
  let whole = {};
  async function askForTemplate({ queue, stats, estimated_wait_seconds: estimated }) {
    whole = { ...whole, updated_at: queue.updated_at };
    try {
      const { page_template: template = "" } = await getQueue(queue.id);
      whole = { page_template: template, updated_at: queue.updated_at };
      parts?.settings.update({ ...queue, ...whole }, stats, estimated);
    } catch {
      // The figures tell when the server is away; the next round asks again.
      whole.updated_at = "";
    }
  }
  const changed = async () => {
    await refresh();
    await parts?.trail.now();
  };
  function open() {
    const figures = queueFigures();
    const charts = chartsPanel(queueId);
    const settings = settingsForm(queueId, changed);
    const trail = auditTrail({ queueId, limit: 10 });
    const doing = actions(queueId, () => latest, changed);
    fill(
      body,
      element("div", { class: "status-line" }, effect, doing.status),
      element("section", { class: "panel", "aria-label": "Figures" }, figures.node),
      charts.node,
      element(
        "section",
        { class: "panel", "aria-labelledby": "settings-title" },
        element("h2", { id: "settings-title" }, "Settings"),
        settings.node,
      ),
      element("div", { class: "columns" }, waitingPage(queueId), doing.ending),
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
    return { figures, charts, settings, trail, doing };
  }
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
        if (!body.querySelector(".gone")) {
          fill(
            body,
            element(
              "p",
              { class: "panel empty gone" },
              `There is no queue called ${queueId}. `,
              element("a", { href: "#/" }, "See all queues"),
            ),
          );
        }
        return;
      }
      parts ??= open();
      write(title, latest.queue.name);
      id.hidden = latest.queue.name === queueId;
      setStatus(badge, latest.queue.status);
      write(effect, STATUS_EFFECT[latest.queue.status] ?? "");
      parts.figures.update(latest);
      if (whole.updated_at !== latest.queue.updated_at) askForTemplate(latest);
      parts.settings.update({ ...whole, ...latest.queue }, latest.stats, latest.estimated_wait_seconds);
      parts.doing.update(latest);
    },
  };
}

function queueFigures() {
  const now = {
    waiting: figure("Waiting"),
    active: figure("Inside", true),
    rate: figure("Let in, last minute"),
    clears: figure("Line clears in"),
    wait: figure("Who joins now waits"),
  };
  const today = {
    joined: figure("Joined"),
    admitted: figure("Let in"),
    expired: figure("Lost by silence"),
    cancelled: figure("Left"),
    wait: figure("Average wait"),
    peak: figure("Longest line"),
  };
  const list = (of, name) =>
    element(
      "dl",
      { class: name },
      Object.values(of).map((each) => each.node),
    );
  return {
    node: element(
      "div",
      {},
      list(now, "figures large"),
      element("h2", { class: "small" }, "Today (UTC)"),
      list(today, "figures"),
    ),
    update(each) {
      const { queue, stats, estimated_wait_seconds: estimated } = each;
      now.waiting.show(
        count(stats.current_waiting),
        queue.max_queue_size ? `of ${count(queue.max_queue_size)}` : "no limit",
      );
      now.active.show(count(stats.current_active), `of ${count(queue.max_active_users)}`);
      now.active.bar(stats.current_active / queue.max_active_users);
      now.rate.show(perSecond(stats.admission_rate_actual), `set ${plain(queue.admission_rate)}/s`);
      now.clears.show(clearsText(each));
      now.wait.node.hidden = estimated === undefined;
      now.wait.show(waitText(queue, stats, estimated));
      today.joined.show(count(stats.total_enqueued_today));
      today.admitted.show(count(stats.total_admitted_today));
      today.expired.show(count(stats.total_expired_today));
      today.cancelled.show(count(stats.total_cancelled_today));
      today.wait.show(duration(stats.avg_wait_time_seconds));
      today.peak.show(count(stats.peak_queue_size));
    },
  };
}

function waitText({ status, max_active_users: most }, { current_active: active }, estimated) {
  if (status === "maintenance") return "cannot join";
  if (status === "paused") return "until you resume";
  if (estimated) return `about ${duration(estimated)}`;
  return active < most ? "not at all" : "–";
}

/** Pause, resume, maintenance; flush and delete apart from them, where no hurried finger lands. */
function actions(queueId, latest, changed) {
  const trouble = element("p", { class: "form-error", role: "alert" });
  const setTo = async (status) => {
    await updateQueue(queueId, { status });
    await changed();
  };
  const attempt = (what, said) => async () => {
    write(trouble, "");
    try {
      await what();
      say(said);
    } catch (error) {
      if (!(error instanceof Left)) write(trouble, error.message);
    }
  };
  const pause = element(
    "button",
    { type: "button", onclick: attempt(() => setTo("paused"), `${queueId} is paused: nobody is let in.`) },
    "Pause",
  );
  const resume = element(
    "button",
    {
      type: "button",
      class: "primary",
      onclick: attempt(() => setTo("active"), `${queueId} lets people in.`),
    },
    "Resume",
  );
  const maintenance = element("button", { type: "button", onclick: askMaintenance }, "Maintenance…");
  const flush = element("button", { type: "button", class: "danger", onclick: askFlush }, "Empty the line…");
  const remove = element(
    "button",
    { type: "button", class: "danger", onclick: askDelete },
    "Delete the queue…",
  );

  async function askMaintenance() {
    const done = await confirm({
      title: `Put ${queueId} into maintenance?`,
      text: ["Nobody new can join and nobody is let in. Those in line keep their places, those inside stay."],
      action: "Start maintenance",
      run: async () => {
        await setTo("maintenance");
        return true;
      },
    });
    if (!done) return;
    say(`${queueId} is in maintenance.`);
    // The button that asked is gone: the keyboard goes on beside it.
    resume.focus();
  }
  async function askFlush() {
    const waiting = latest()?.stats.current_waiting ?? 0;
    const done = await confirm({
      title: `Empty the line of ${queueId}?`,
      text: [
        `${people(waiting)} ${waiting === 1 ? "loses the" : "lose their"} place for good. Those inside stay. This cannot be undone.`,
      ],
      action: "Empty the line",
      isDanger: true,
      typed: queueId,
      run: () => flushQueue(queueId),
    });
    if (!done) return;
    say(`${people(done.flushed)} sent away.`);
    await changed();
  }
  async function askDelete() {
    const { current_waiting: waiting = 0, current_active: active = 0 } = latest()?.stats ?? {};
    const done = await confirm({
      title: `Delete ${queueId}?`,
      text: [
        `${count(waiting)} waiting and ${count(active)} inside are gone with it, and so are its settings and history. This cannot be undone.`,
      ],
      action: "Delete the queue",
      isDanger: true,
      typed: queueId,
      run: () => deleteQueue(queueId),
    });
    if (!done) return;
    say(`${queueId} is deleted.`);
    // First the figures: the list is not to show for a moment what is gone.
    await changed();
    location.hash = "#/";
  }
  return {
    status: element("div", {}, element("div", { class: "actions" }, resume, pause, maintenance), trouble),
    ending: element(
      "section",
      { class: "panel", "aria-labelledby": "ending-title" },
      element("h2", { id: "ending-title" }, "Start over"),
      element(
        "p",
        { class: "hint" },
        "Emptying sends everyone home who waits; deleting ends the queue too. Both ask first.",
      ),
      element("div", { class: "actions" }, flush, remove),
    ),
    update({ queue }) {
      const choices = [
        [resume, "active"],
        [pause, "paused"],
        [maintenance, "maintenance"],
      ];
      const left = choices.find(
        ([button, status]) => status === queue.status && button === document.activeElement,
      );
      for (const [button, status] of choices) button.hidden = queue.status === status;
      // The button that was pressed is gone now: the keyboard stays where it was.
      if (left) choices.find(([, status]) => status !== queue.status)[0].focus();
    },
  };
}

/** The address that visitors need: to copy, to open, to scan. */
function waitingPage(queueId) {
  const path = `/wait/${encodeURIComponent(queueId)}`;
  const inputId = newId("link");
  const link = element("input", {
    id: inputId,
    type: "text",
    readonly: true,
    value: new URL(path, location.href).href,
  });
  const picture = element("img", {
    src: `${path}/qr.svg`,
    alt: "QR code of this address",
    width: "132",
    height: "132",
  });
  const download = element(
    "a",
    { class: "button", href: `${path}/qr.svg`, download: `${queueId}-qr.svg` },
    "Download the QR code",
  );
  picture.addEventListener("error", () => {
    picture.remove();
    download.remove();
  });
  async function copy() {
    link.select();
    try {
      await navigator.clipboard.writeText(link.value);
      say("Copied.");
    } catch {
      // Browsers give the clipboard to pages served by https only, and to localhost.
      link.focus();
      say("Selected: copy it with Ctrl+C or ⌘C.");
    }
  }
  return element(
    "section",
    { class: "panel waiting-page", "aria-labelledby": "page-title" },
    element("h2", { id: "page-title" }, "The waiting page"),
    element("label", { for: inputId }, "Address"),
    link,
    element(
      "div",
      { class: "actions start" },
      element("button", { type: "button", onclick: copy }, "Copy"),
      element("a", { class: "button", href: path, target: "_blank", rel: "noopener" }, "Open in a new tab"),
      download,
    ),
    picture,
  );
}
