/** Actions on a queue. Each shows its result and then refreshes the figures. */

import { Left, deleteQueue, flushQueue, updateQueue } from "./admin-api.js";
import { confirm, say } from "./admin-dialogs.js";
import { element, write } from "./admin-dom.js";
import { count, people } from "./admin-formats.js";

/**
 * Buttons for pause, resume and maintenance.
 * @param {string} queueId
 * @param {() => Promise<void>} changed called after each change
 */
export function steering(queueId, changed) {
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
    { type: "button", onclick: attempt(() => setTo("paused"), `${queueId} is paused. No visitors are let in.`) },
    "Pause",
  );
  const resume = element(
    "button",
    {
      type: "button",
      class: "primary",
      onclick: attempt(() => setTo("active"), `${queueId} lets visitors in.`),
    },
    "Resume",
  );
  const maintenance = element("button", { type: "button", onclick: askMaintenance }, "Maintenance…");

  async function askMaintenance() {
    const done = await confirm({
      title: `Put ${queueId} into maintenance?`,
      text: ["New visitors cannot join, and no visitors are let in. Visitors in line keep their places. Visitors inside stay."],
      action: "Start maintenance",
      run: async () => {
        await setTo("maintenance");
        return true;
      },
    });
    if (!done) return;
    say(`${queueId} is in maintenance.`);
    // The pressed button is hidden now, so the focus moves to the button beside it.
    resume.focus();
  }
  return {
    node: element("div", {}, element("div", { class: "actions" }, resume, pause, maintenance), trouble),
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
      // The pressed button is hidden now, so the focus moves to a visible one.
      if (left) choices.find(([, status]) => status !== queue.status)[0].focus();
    },
  };
}

/**
 * Buttons for flush and delete. They stand apart from the others, so that nobody presses them by mistake.
 * @param {string} queueId
 * @param {() => object|null} latest returns the latest figures of the queue
 * @param {() => Promise<void>} changed called after each change
 */
export function ending(queueId, latest, changed) {
  const flush = element("button", { type: "button", class: "danger", onclick: askFlush }, "Empty the line…");
  const remove = element(
    "button",
    { type: "button", class: "danger", onclick: askDelete },
    "Delete the queue…",
  );

  async function askFlush() {
    const waiting = latest()?.stats.current_waiting ?? 0;
    const done = await confirm({
      title: `Empty the line of ${queueId}?`,
      text: [
        `${people(waiting)} ${waiting === 1 ? "loses the" : "lose their"} place for good. Visitors inside stay. This cannot be undone.`,
      ],
      action: "Empty the line",
      isDanger: true,
      typed: queueId,
      run: () => flushQueue(queueId),
    });
    if (!done) return;
    say(`The line was emptied: ${people(done.flushed)} lost their place.`);
    await changed();
  }
  async function askDelete() {
    const { current_waiting: waiting = 0, current_active: active = 0 } = latest()?.stats ?? {};
    const done = await confirm({
      title: `Delete ${queueId}?`,
      text: [
        `This also removes ${count(waiting)} waiting, ${count(active)} inside, and the queue’s settings and history. This cannot be undone.`,
      ],
      action: "Delete the queue",
      isDanger: true,
      typed: queueId,
      run: () => deleteQueue(queueId),
    });
    if (!done) return;
    say(`${queueId} is deleted.`);
    // Refresh the figures first, so that the list never shows the deleted queue.
    await changed();
    location.hash = "#/";
  }
  return element(
    "section",
    { class: "panel", "aria-labelledby": "ending-title" },
    element("h2", { id: "ending-title" }, "Start over"),
    element(
      "p",
      { class: "hint" },
      "Emptying the line removes everyone who is waiting. Deleting also removes the queue. Both ask for confirmation.",
    ),
    element("div", { class: "actions" }, flush, remove),
  );
}
