/** The waiting page: shows the events of the waiting room's client (wr.js). */
import { WaitingRoom } from "/wr.js";
import { makeAway } from "./waiting-away.js";
import { chime, notify, wishNotification, wishSound } from "./waiting-wishes.js";
import { makeWords } from "./waiting-words.js";

const ANNOUNCED_EVERY_MS = 60_000;
const BEFORE_GOING_MS = 1_500;
const NOTICED_MS = 20_000;
const CAN_JOIN = new Set(["expired", "lost", "finished", "closed", "left"]);
const MAY_RETRY = new Set([
  ...["full", "maintenance", "limited", "unavailable"],
  ...["too_many_places", "identity_taken", "pass_not_yet"],
]);
const ENDS = { session_timeout: "finished", terminated: "finished", flushed: "closed", queue_deleted: "closed", cancelled: "left" };
const HELD = { paused: "paused", maintenance: "held" };
/** Elements that are shown only while there is a connection. */
const ONLY_WHILE_HEARD = ["explanation", "next", "keeps"];
const IN_LINE = new Set(["waiting", "paused", "held", "recovering"]);

const facts = JSON.parse(document.getElementById("facts").textContent);
const words = makeWords(facts.language, facts.texts);
const at = (id) => document.getElementById(id);
const back = new URLSearchParams(location.search).get("return") ?? "";
const PASS_KEY = `wr:${facts.queue}:pass`;
const room = new WaitingRoom({ queue: facts.queue, keep: "cookie", back, pass: takePass() });
const away = makeAway(words, showAway);
const shown = { state: "joining", announced: "", announcedAt: 0, notice: "" };

/** Move the pass from the URL into this tab's storage, which keeps it until the visitor has a place. */
function takePass() {
  const address = new URL(location.href);
  const given = address.searchParams.get("pass");
  if (given !== null) {
    address.searchParams.delete("pass");
    history.replaceState(null, "", address);
  }
  try {
    if (given) sessionStorage.setItem(PASS_KEY, given);
    return given || (sessionStorage.getItem(PASS_KEY) ?? "");
  } catch {
    return given ?? ""; // Storage is blocked: the pass lasts until the page is reloaded.
  }
}

function forgetPass() {
  try {
    sessionStorage.removeItem(PASS_KEY);
  } catch {
    // Storage is blocked, so there is nothing to remove.
  }
}

function showState(state, values = {}) {
  if (shown.state === state) return;
  shown.state = state;
  const explanation = words.text(`${state}.explanation`, values);
  at("room").dataset.state = state;
  at("headline").textContent = words.text(`${state}.headline`);
  at("explanation").textContent = explanation;
  document.title = `${words.text(`${state}.headline`)} – ${facts.name}`;
  const isInLine = IN_LINE.has(state);
  at("place").hidden = !isInLine && state !== "admitted";
  at("leave").hidden = !isInLine;
  at("wishes").hidden = !isInLine && state !== "joining";
  at("again").hidden = !CAN_JOIN.has(state);
  at("retry").hidden = !MAY_RETRY.has(state);
  at("without").hidden = !(facts.entry === "open" && state.startsWith("pass_"));
  if (!isInLine || shown.announced !== "") announce(`${words.text(`${state}.headline`)}. ${explanation}`);
}

/** Set the URL that a reload should use. */
function showAddress(query) {
  const search = new URLSearchParams({ ...query, ...(back && { return: back }) });
  history.replaceState(null, "", search.size ? `?${search}` : location.pathname);
}

function showNotice(text) {
  shown.notice = text;
  at("notice").textContent = text;
  at("notice").hidden = text === "";
}

/** Show the text for a lost connection. Screen readers do not read out the changing seconds. */
function showAway(text, isNews) {
  shown.state = "away";
  at("room").dataset.state = "away";
  at("headline").textContent = words.text("away");
  document.title = `${words.text("away")} – ${facts.name}`;
  for (const what of ONLY_WHILE_HEARD) at(what).hidden = true;
  showNotice(text);
  if (isNews) announce(text.replaceAll("\n", " "));
}

/** End the display of a lost connection: it is back, or there is no place any more. */
function endAway() {
  const wasAway = away.isAway;
  away.end();
  for (const what of ONLY_WHILE_HEARD) at(what).hidden = false;
  if (wasAway) showNotice("");
  return wasAway;
}

function showBack() {
  const text = words.text("back");
  showNotice(text);
  announce(text);
  setTimeout(() => shown.notice === text && showNotice(""), NOTICED_MS);
}

/** Let screen readers read out a text, unless it was the last one. */
function announce(text) {
  if (shown.announced === text) return;
  shown.announced = text;
  shown.announcedAt = Date.now();
  at("announcement").textContent = text;
}

function showPlace(place) {
  showState(place.isRecovering ? "recovering" : (HELD[place.heldBecause] ?? "waiting"));
  const wait = place.heldBecause || place.isRecovering ? words.text("wait.unknown") : words.wait(place.estimatedWaitSeconds);
  at("position").textContent = words.number(place.position);
  at("ahead").textContent = words.number(place.ahead);
  at("wait").textContent = wait;
  const percent = Math.floor(place.progress * 100);
  at("progress").value = percent;
  at("updated").textContent = words.text("updated", { time: words.time(place.updatedAt) });
  document.title = `(${words.number(place.position)}) ${words.text(`${shown.state}.headline`)} – ${facts.name}`;
  if (Date.now() - shown.announcedAt >= ANNOUNCED_EVERY_MS || shown.announced === "") {
    announce(words.text("announce", { position: words.number(place.position), wait }));
  }
}

room.addEventListener("joined", ({ detail }) => {
  endAway();
  forgetPass();
  if (detail.passRefused) showNotice(`${words.text(`pass_${detail.passRefused}.headline`)}\n${words.text("kept")}`);
  else showNotice(detail.hadExpired ? words.text("fresh") : "");
});
room.addEventListener("position", ({ detail }) => {
  const wasAway = endAway();
  showPlace(detail);
  if (wasAway) showBack();
});
room.addEventListener("connection", ({ detail }) => {
  if (detail.state !== "reconnecting") return;
  if (room.place) away.begin(detail);
  else showState("unavailable");
});
room.addEventListener("refused", ({ detail: { reason, passReason, blockedUntil } }) => {
  const time = blockedUntil && words.moment(blockedUntil);
  showState(passReason ? `pass_${passReason}` : reason, { time });
});
room.addEventListener("ended", ({ detail }) => {
  endAway();
  at("leaving").close("no");
  showNotice("");
  showState(ENDS[detail.reason] ?? (detail.wasInterrupted ? "lost" : "expired"));
});
room.addEventListener("left", () => {
  endAway();
  forgetPass();
  showNotice("");
  showState("left");
  // After leaving, reloading the page must not join again.
  showAddress({ left: 1 });
});
room.addEventListener("admitted", ({ detail }) => {
  endAway();
  forgetPass();
  at("leaving").close("no");
  showNotice("");
  showState("admitted");
  at("progress").value = 100;
  at("enter").href = detail.entryUrl;
  at("enter").hidden = false;
  if (at("sound").checked) chime();
  if (at("notify").checked) notify(words.text("admitted.headline"), facts.name);
  // Gives screen readers time to read it out before the page is replaced.
  setTimeout(() => location.replace(detail.entryUrl), BEFORE_GOING_MS);
});

function join() {
  endAway();
  showNotice("");
  showState("joining");
  showAddress({});
  at("headline").focus();
  room.join();
}
at("again").addEventListener("click", join);
at("retry").addEventListener("click", join);
at("without").addEventListener("click", () => {
  forgetPass();
  room.pass = "";
  join();
});
at("leave").addEventListener("click", () => {
  at("leaving").returnValue = "";
  at("leaving").showModal();
});
at("leaving").addEventListener("close", async () => {
  if (at("leaving").returnValue !== "yes") return;
  // Handle each answer once: a busy browser may report an earlier closing late, after the next answer.
  at("leaving").returnValue = "";
  at("headline").focus();
  // The server was not reached, so the visitor still has the place and continues to wait.
  if (!(await room.leave())) room.join();
});
at("sound").addEventListener("change", ({ target }) => target.checked && wishSound());
at("notify").addEventListener("change", async ({ target }) => {
  const isAllowed = !target.checked || (await wishNotification());
  target.checked &&= isAllowed;
  at("notify-answer").hidden = isAllowed;
});
at("change").hidden = true;
at("language").addEventListener("change", () => at("languages").requestSubmit());

if (facts.state === "joining") {
  at("wishes").hidden = false;
  room.join();
} else {
  shown.state = facts.state;
  at("again").hidden = !CAN_JOIN.has(facts.state);
}
