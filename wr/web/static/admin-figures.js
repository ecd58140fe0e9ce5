/** The figures of a queue, now and today. */

import { element } from "./admin-dom.js";
import { count, duration, perSecond, plain } from "./admin-formats.js";
import { clearsText, figure } from "./admin-overview.js";

/** The figures. `update` takes the queue's entry in the list of queues. */
export function queueFigures() {
  const now = {
    waiting: figure("Waiting"),
    active: figure("Inside", true),
    rate: figure("Let in, last minute"),
    clears: figure("Line clears in"),
    wait: figure("Wait for new visitors"),
  };
  const today = {
    joined: figure("Joined"),
    admitted: figure("Let in"),
    expired: figure("Dropped for silence"),
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
  if (status === "maintenance") return "cannot join now";
  if (status === "paused") return "until you resume";
  if (estimated) return `about ${duration(estimated)}`;
  return active < most ? "no wait" : "–";
}
