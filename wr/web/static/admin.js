/** The console: sign-in, the open view, and the figures that all views share. */

import { Left, forget, isSignedIn, listQueues, onRejected, operatorName } from "./admin-api.js";
import { auditView } from "./admin-audit.js";
import { createView } from "./admin-create.js";
import { element, fill, write } from "./admin-dom.js";
import { findView } from "./admin-find.js";
import { clock, duration } from "./admin-formats.js";
import { overviewView } from "./admin-overview.js";
import { repeat } from "./admin-poll.js";
import { queueView } from "./admin-queue.js";
import { forgetDrafts } from "./admin-settings.js";
import { signInView } from "./admin-signin.js";

const FIGURES_EVERY_S = 3;
const OLD_AFTER_MS = 10_000;
const ROUTES = [
  [/^#?\/?$/, overviewView],
  [/^#\/queues\/([^/]+)$/, queueView],
  [/^#\/new$/, createView],
  [/^#\/find(?:\/([^/]+))?$/, findView],
  [/^#\/audit$/, auditView],
];

const byId = (id) => document.getElementById(id);
const main = byId("main");
const figures = { queues: null, at: null, trouble: null };
let view = null;
let polling = null;

/** Request the figures now. Resolves when the view shows them. */
async function refresh() {
  await polling?.anew();
}

function take({ queues }) {
  Object.assign(figures, { queues, at: new Date(), trouble: null });
  view?.update?.(figures);
  showTrouble();
}

function showTrouble() {
  const { trouble, at } = figures;
  const isOld = at !== null && Date.now() - at.getTime() > OLD_AFTER_MS && !document.hidden;
  if (!isSignedIn() || (!trouble && !isOld)) return fill(byId("trouble"));
  const what = troubleText(trouble);
  const age = at ? ` The figures are from ${clock(at)}.` : "";
  const box =
    byId("trouble").firstChild ??
    byId("trouble").appendChild(element("div", {}, element("p"), element("p", { "aria-hidden": "true" })));
  write(box.firstChild, what + age);
  // The age changes every second, so screen readers must not read it out.
  write(box.lastChild, at ? `${duration(Math.round((Date.now() - at.getTime()) / 1000))} old` : "");
  return box;
}

function troubleText(trouble) {
  if (!trouble) return "There have been no new figures for a while.";
  if (trouble.code === "RATE_LIMITED")
    return `The limit on admin calls is reached. The console tries again in ${duration(trouble.retryAfter || FIGURES_EVERY_S)}.`;
  if (trouble.code === "SERVICE_UNAVAILABLE") return "The store is unreachable. No visitors are let in. Places are kept.";
  return `${trouble.message}.`;
}

function showSignIn(notice = "") {
  show(
    signInView(notice, (answer) => {
      take(answer);
      polling = repeat(
        async () => take(await listQueues()),
        FIGURES_EVERY_S,
        (error) => {
          if (error instanceof Left) return;
          figures.trouble = error;
          showTrouble();
        },
      );
      route();
    }),
  );
  byId("menu").hidden = true;
  byId("who").hidden = true;
}

function signOut(notice = "") {
  polling?.stop();
  polling = null;
  forget();
  forgetDrafts();
  Object.assign(figures, { queues: null, at: null, trouble: null });
  showTrouble();
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  showSignIn(notice);
}

function route() {
  if (!isSignedIn()) return;
  byId("menu").hidden = false;
  byId("who").hidden = false;
  write(byId("operator"), operatorName());
  const [make, parameter] = viewOf(location.hash);
  show(make({ parameter, refresh }));
  view.update?.(figures);
  for (const link of byId("menu").querySelectorAll("a")) {
    const isHere = make === viewOf(link.getAttribute("href"))[0];
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function viewOf(hash) {
  for (const [pattern, make] of ROUTES) {
    const match = pattern.exec(hash);
    if (match) return [make, decoded(match[1] ?? "")];
  }
  return [overviewView, ""];
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function show(next) {
  view?.close?.();
  view = next;
  fill(main, next.node);
  document.title = `${next.title} · Waiting room console`;
  (next.focus ?? next.node.querySelector("h1")).focus({ preventScroll: true });
  scrollTo(0, 0);
}

onRejected(() => signOut("The admin key is no longer accepted. Sign in with the new one."));
byId("sign-out").addEventListener("click", () => signOut());
byId("skip").addEventListener("click", (event) => {
  // The part after # is the name of the view, so following this link would leave the view.
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", route);
setInterval(showTrouble, 1000);
showSignIn();
