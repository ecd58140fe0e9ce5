/**
 * The waiting room's client: one line for one visitor, kept up to date.
 *
 *     import { WaitingRoom } from "https://wait.example.com/wr.js";
 *     const room = new WaitingRoom({ queue: "concert" });
 *     room.addEventListener("position", ({ detail }) => show(detail.position));
 *     room.addEventListener("admitted", ({ detail }) => location.replace(detail.entryUrl));
 *     room.join();
 *
 * It tells over a WebSocket, where that is blocked over server-sent events, and where those are blocked too by
 * asking. After an interruption everybody waits a random while first, so that a crowd never returns in step.
 * Types and all events: wr.d.ts beside this file.
 */

export const version = "1.2.0";

const ASKED_TO_COME_BACK = 1012;
const NEVER_OPENED = 0;
const BROKEN = -1;
const OPENING_PATIENCE_MS = 8_000;
const REQUEST_PATIENCE_MS = 10_000;
const SILENCE_MS = 120_000;
/** What an update on a stream keeps the place for, of a heartbeat timeout: it may have been under way for a while. */
const UPDATE_KEEPS = 5 / 6;
const RENEWAL_MS = 600_000;
const FIRST_PAUSE_MS = 4_000;
const LONGEST_PAUSE_MS = 30_000;
const TRIES_PER_TRANSPORT = 2;
const TRANSPORTS = ["websocket", "events", "polling"];
const PLACE_IS_OVER = new Set([401, 404, 410]);
const REFUSALS = {
  QUEUE_FULL: "full",
  MAINTENANCE_MODE: "maintenance",
  RATE_LIMITED: "limited",
  TOO_MANY_PLACES: "too_many_places",
  NOT_FOUND: "unknown",
  IDENTITY_TAKEN: "identity_taken",
  BLOCKED: "blocked",
  PASS_REQUIRED: "pass_required",
  PASS_INVALID: "pass_invalid",
};
/** Refusals that no retry of the module itself changes. */
const FINAL = new Set(["unknown", "identity_taken", "blocked", "pass_required", "pass_invalid"]);
/** The longest pass that the server reads; a longer one is not valid, cut or whole. */
const LONGEST_PASS = 4096;

/** A random while, from half of `ms` to all of it: never later than what a place is kept for. */
const within = (ms) => ms * (0.5 + Math.random() / 2);

/** Why nothing is heard; `answer` is what the last request got, null when a stream broke and none was made since. */
function causeOf(answer) {
  if (answer?.body?.error?.code === "SERVICE_UNAVAILABLE") return "unavailable";
  if (globalThis.navigator?.onLine === false) return "offline";
  return answer?.status === 0 ? "unreachable" : "broken";
}

const reasonOf = (answer) => answer.body?.error?.details?.reason ?? "expired";

/** What a refused join tells the page: see `refused` in wr.d.ts. */
function refusalOf({ body, retryAfterSeconds }) {
  const reason = REFUSALS[body?.error?.code] ?? "unavailable";
  const details = body?.error?.details ?? {};
  return {
    reason,
    retryAfterSeconds,
    ...(reason === "blocked" && { blockedUntil: new Date(details.blocked_until) }),
    ...(reason === "pass_invalid" && { passReason: details.reason }),
  };
}

/** Run `action` while no other tab of this site does, where the browser can tell. */
const alone = (name, action) => (globalThis.navigator?.locks ? navigator.locks.request(name, action) : action());

/**
 * Where somebody who was let in goes: the target, or a path of the same site instead of the target's own, with the
 * session token for the site behind to verify.
 */
export function entryUrl(redirectUrl, sessionToken, back = "") {
  const target = new URL(redirectUrl);
  const wished = new URL(back.startsWith("/") ? back : redirectUrl, redirectUrl);
  const url = wished.origin === target.origin ? wished : target;
  // As text: what else stands there may be signed as it is spelled.
  const kept = url.search.slice(1).split("&").filter((part) => part && part.split("=")[0] !== "wr_token");
  url.search = [...kept, `wr_token=${sessionToken}`].join("&");
  return url.href;
}

export class WaitingRoom extends EventTarget {
  /** The pass that each join brings; empty for none. */
  pass;
  #options;
  #stop = new AbortController();
  #run = 0;
  #token = null;
  #place = null;
  #socket = null;
  #reading = null;
  #transport = 0;
  #failures = 0;
  #timers = new Map();
  #memory = new Map();
  #unopened = 0;
  #heartbeatMs = 10_000;
  #hadExpired = false;
  #passRefused = null;
  #isOver = true;
  #isReached = true;
  #cause = null;
  #heardAt = 0;
  #timeoutMs = 0;
  #keptUntil = 0;

  /**
   * @param {object} options see `Options` in wr.d.ts
   */
  constructor({
    queue,
    server = new URL(import.meta.url).origin,
    keep,
    back = "",
    metadata = {},
    priority = 0,
    pass = "",
  }) {
    super();
    this.pass = pass;
    const isSameOrigin = globalThis.location?.origin === new URL(server).origin;
    keep ??= isSameOrigin ? "cookie" : "storage";
    this.#options = { queue, server, keep, back, metadata, priority };
    this.#recallToken();
  }

  /** The last that is known of the place; null without one. */
  get place() {
    return this.#place;
  }

  /** Join, or take up the place this browser has already. Goes on until let in, over, left or closed. */
  async join() {
    this.close();
    this.#stop = new AbortController();
    this.#isOver = false;
    this.#isReached = true;
    this.#transport = 0;
    this.#unopened = 0;
    this.#failures = 0;
    this.#hadExpired = false;
    this.#passRefused = null;
    this.#watch();
    await this.#start();
  }

  /** Give the place up. Resolves to whether the server knows. */
  async leave() {
    this.close();
    // After whatever joins just now, here or in another tab: what it gets is what is given up.
    const answer = await this.#alone(() => {
      this.#recallToken();
      return this.#take("DELETE", "position");
    });
    const isGone = answer.ok || PLACE_IS_OVER.has(answer.status);
    if (isGone) {
      this.#forget();
      this.#tell("left", {});
    }
    return isGone;
  }

  /** Stop listening. The place stays until it expires; `join` takes it up again. */
  close() {
    this.#isOver = true;
    this.#run += 1;
    this.#stop.abort();
    this.#hangUp();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  // ------------------------------------------------------------------ joining

  async #start() {
    const run = this.#run;
    // Two tabs that open together are one person: the second finds the place of the first.
    const answer = await this.#alone(() => this.#find());
    if (this.#isStale(run)) return;
    if (answer.ok) return this.#settle(answer.body, answer.status === 201);
    if (answer.status !== 0 && !answer.isKept) {
      const refusal = refusalOf(answer);
      if (FINAL.has(refusal.reason)) this.close();
      this.#tell("refused", refusal);
      if (this.#isStale(run)) return;
    } else {
      this.#interrupted(answer);
    }
    this.#comeBack(answer, () => this.#start());
  }

  /** Whether what was asked for in a run is of no interest any more. */
  #isStale(run) {
    return this.#isOver || run !== this.#run;
  }

  #alone(action) {
    return alone(`wr:${this.#options.queue}`, action);
  }

  /** Find the place this browser has, or join. A pass is always shown: the place may rise by it. */
  async #find() {
    this.#recallToken();
    const place = this.#remember("place");
    if (place !== null && !this.pass) {
      const known = await this.#findKept();
      if (known !== null) return known;
    }
    const joined = await this.#enqueue();
    if (joined.ok) return this.#noteJoined(joined, place);
    if (place === null || joined.status === 0) return joined;
    // Whatever becomes of the pass, the place that the visitor has without it does not lapse meanwhile.
    const known = await this.#findKept();
    const { reason, passReason } = refusalOf(joined);
    if (known === null || reason !== "pass_invalid") return joined;
    this.#passRefused = passReason;
    return known;
  }

  /** Take up the place that this browser remembers; null when it is over. */
  async #findKept() {
    const known = await this.#take("POST", "heartbeat", {});
    // Without an answer nobody knows whether the place is still there: it is asked for again, not given up.
    if (!PLACE_IS_OVER.has(known.status)) return { ...known, isKept: true };
    this.#hadExpired = known.status === 410;
    this.#forget();
    return null;
  }

  #enqueue() {
    const { keep, metadata, priority } = this.#options;
    const headers = {};
    // The place is given back to its token alone, which this client keeps and shows.
    if (keep !== "cookie") headers["X-WR-Token"] = "client";
    // What is no pass may have letters that no header has.
    if (this.pass) headers["X-WR-Pass"] = encodeURIComponent(this.pass).slice(0, LONGEST_PASS);
    return this.#take("POST", "enqueue", { metadata, priority }, headers);
  }

  #noteJoined(joined, place) {
    const isAnother = place !== null && place !== joined.body.position_id;
    if (isAnother) {
      this.#hadExpired = joined.status === 201;
      this.#remember("first", null);
      this.#remember("progress", null);
    }
    this.#remember("place", joined.body.position_id);
    return joined;
  }

  /** Take in what joining, or asking again, has answered. */
  #settle(body, isNew) {
    if (body.status === "admitted") return this.#enter(body);
    this.#failures = 0;
    this.#isReached = true;
    this.#cause = null;
    const isJoined = this.#place === null;
    this.#heartbeatMs = 1000 * (body.heartbeat_interval_seconds ?? body.next_heartbeat_seconds);
    if (isJoined) {
      this.#tell("joined", {
        positionId: body.position_id,
        isNew,
        hadExpired: this.#hadExpired,
        passRefused: this.#passRefused,
      });
    }
    this.#hadExpired = false;
    this.#moved(body);
    this.#connect();
  }

  // ------------------------------------------------------------------ what is told

  #moved(data) {
    const first = Math.max(Number(this.#remember("first") ?? 0), data.position);
    this.#remember("first", first);
    const reached = (first - data.position) / first;
    // It never goes back, even when somebody with a higher priority has joined in front.
    const progress = Math.max(reached, Number(this.#remember("progress") ?? 0));
    this.#remember("progress", progress);
    this.#place = {
      position: data.position,
      ahead: data.position - 1,
      queueLength: data.queue_length,
      estimatedWaitSeconds: data.estimated_wait_seconds,
      heldBecause: data.queue_status ?? null,
      isRecovering: data.recovering ?? false,
      progress,
      updatedAt: new Date(),
    };
    this.#tell("position", this.#place);
  }

  #enter(data) {
    this.close();
    this.#place = null;
    this.#remember("first", null);
    this.#remember("progress", null);
    this.#tell("admitted", {
      sessionToken: data.session_token,
      redirectUrl: data.redirect_url,
      entryUrl: entryUrl(data.redirect_url, data.session_token, this.#options.back),
    });
  }

  #ended(reason) {
    const wasInterrupted = !this.#isReached;
    this.close();
    this.#forget();
    this.#tell("ended", { reason, wasInterrupted });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  // ------------------------------------------------------------------ live, by whatever way is open

  #connect() {
    this.#hangUp();
    if (this.#isOver) return;
    const transport = TRANSPORTS[this.#transport];
    this.#heardAt = Date.now();
    // Also while a stream is open: it renews the token long before its half hour is over.
    this.#after("beat", within(transport === "polling" ? this.#heartbeatMs : RENEWAL_MS), () => this.#beat());
    if (transport === "websocket") this.#openSocket();
    else if (transport === "events") this.#openEvents();
    else this.#connected("polling");
    this.#listen();
  }

  #connected(transport) {
    this.#heardAt = Date.now();
    this.#isReached = true;
    this.#cause = null;
    this.#tell("connection", { state: "live", transport });
  }

  #openSocket() {
    const url = new URL(`/ws/queues/${this.#options.queue}`, this.#options.server);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    let socket;
    try {
      socket = new WebSocket(url, this.#token ? ["bearer", this.#token] : []);
    } catch {
      return this.#dropped(NEVER_OPENED);
    }
    this.#socket = socket;
    // The position comes at once: a way on which nothing comes is not open, whatever a proxy has said.
    let isOpen = false;
    this.#after("opening", OPENING_PATIENCE_MS, () => isOpen || socket.close());
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      if (!isOpen) this.#connected("websocket");
      isOpen = true;
      this.#hear(data);
    };
    socket.onclose = ({ code }) => socket === this.#socket && this.#dropped(isOpen ? code : NEVER_OPENED);
  }

  async #openEvents() {
    const reading = new AbortController();
    this.#reading = reading;
    this.#after("opening", OPENING_PATIENCE_MS, () => reading.abort());
    let isOpen = false;
    try {
      const response = await fetch(this.#url("events"), { ...this.#request(), signal: reading.signal });
      if (!response.ok || !response.body) throw new Error(`answered ${response.status}`);
      const lines = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await lines.read();
        if (done) break;
        if (!isOpen) {
          isOpen = true;
          clearTimeout(this.#timers.get("opening"));
          this.#connected("events");
        }
        this.#heardAt = Date.now();
        const events = (rest + value).split("\n\n");
        rest = events.pop();
        for (const event of events) {
          const data = event.split("\n").find((line) => line.startsWith("data:"));
          if (data && reading === this.#reading) this.#hear(data.slice(5));
        }
      }
    } catch {
      // Blocked, refused or broken off: all the same, the next try tells.
    }
    if (reading === this.#reading) this.#dropped(isOpen ? BROKEN : NEVER_OPENED);
  }

  #hear(text) {
    this.#heardAt = Date.now();
    this.#failures = 0;
    this.#unopened = 0;
    const { type, data } = JSON.parse(text);
    if (type === "position_update") {
      if (!this.#isReached) this.#connected(TRANSPORTS[this.#transport]);
      this.#proven(Date.now(), data, UPDATE_KEEPS);
      this.#moved(data);
    } else if (type === "admitted") this.#enter(data);
    else if (type === "expired") this.#ended(data.reason);
  }

  /** A stream has ended: try again after a random while, and another way when this one never opens. */
  #dropped(code, answer = null) {
    this.#hangUp();
    if (this.#isOver) return;
    if (code === NEVER_OPENED) {
      if (++this.#unopened >= TRIES_PER_TRANSPORT && this.#transport < TRANSPORTS.length - 1) {
        this.#transport += 1;
        this.#unopened = 0;
      }
      // Perhaps only this way is closed: whether the server is reached at all, asking tells.
      return this.#after("again", Math.random() * 2_000, () => this.#ask());
    }
    this.#interrupted(answer);
    // Everybody's stream ends at once when a server does, and nobody's place is in a hurry.
    this.#after("again", code === ASKED_TO_COME_BACK ? Math.random() * 5_000 : this.#pause(), () => this.#ask());
  }

  /** Ask where the place stands and go on from there; the answer also says whether anybody is reached. */
  async #ask() {
    this.#hangUp();
    if (this.#place === null) return this.#start();
    const run = this.#run;
    const answer = await this.#take("POST", "heartbeat", {});
    if (this.#isStale(run)) return;
    if (answer.ok) {
      if (!this.#isReached) this.#transport = 0; // Another network, perhaps, with other ways open.
      this.#settle(answer.body, false);
    } else if (PLACE_IS_OVER.has(answer.status)) {
      this.#ended(reasonOf(answer));
    } else {
      this.#interrupted(answer);
      this.#comeBack(answer, () => this.#ask());
    }
  }

  async #beat() {
    const run = this.#run;
    const answer = await this.#take("POST", "heartbeat", {});
    if (this.#isStale(run)) return;
    if (PLACE_IS_OVER.has(answer.status)) return this.#ended(reasonOf(answer));
    if (!answer.ok) return this.#unanswered(answer);
    if (answer.body.status === "admitted") return this.#enter(answer.body);
    this.#heardAt = Date.now();
    if (!this.#isReached) this.#connected(TRANSPORTS[this.#transport]);
    this.#moved(answer.body);
    this.#after("beat", within(this.#isPolling() ? this.#heartbeatMs : RENEWAL_MS), () => this.#beat());
    this.#listen();
  }

  #unanswered(answer) {
    // Streams outlast an outage of the store, and a crowd that opened them all again would begin another one.
    const isOpen = this.#socket !== null || this.#reading !== null;
    if (!isOpen || causeOf(answer) !== "unavailable") return this.#dropped(BROKEN, answer);
    this.#interrupted(answer);
    this.#comeBack(answer, () => this.#beat());
  }

  #isPolling() {
    return TRANSPORTS[this.#transport] === "polling";
  }

  /**
   * Nothing new is usual while nobody is let in; a connection that died in silence is not. A heartbeat in good time
   * tells the two apart, and keeps the place.
   */
  #listen() {
    if (this.#isPolling()) return;
    const patienceMs = within(Math.min(SILENCE_MS, this.#timeoutMs / 2 || SILENCE_MS));
    this.#after("silence", this.#heardAt + patienceMs - Date.now(), async () => {
      if (Date.now() - this.#heardAt < patienceMs) return this.#listen();
      const before = this.#place;
      await this.#beat();
      const after = this.#place;
      const isOpen = this.#socket !== null || this.#reading !== null;
      if (!isOpen || before === null || after === null) return;
      // The stream should have told this: it is open no longer, or as good as that.
      if (before.position !== after.position || before.heldBecause !== after.heldBecause) this.#connect();
    });
  }

  #hangUp() {
    const socket = this.#socket;
    const reading = this.#reading;
    this.#socket = null;
    this.#reading = null;
    clearTimeout(this.#timers.get("opening"));
    clearTimeout(this.#timers.get("beat"));
    clearTimeout(this.#timers.get("silence"));
    if (socket && socket.readyState < WebSocket.CLOSING) socket.close();
    reading?.abort();
  }

  // ------------------------------------------------------------------ interruptions

  #watch() {
    const { signal } = this.#stop;
    const wake = () => {
      const isLive = this.#isReached && Date.now() - this.#heardAt < SILENCE_MS / 4;
      if (globalThis.document?.visibilityState === "hidden" || isLive) return;
      this.#after("again", Math.random() * 1500, () => this.#ask());
    };
    globalThis.addEventListener?.("online", wake, { signal });
    globalThis.addEventListener?.("pageshow", ({ persisted }) => persisted && wake(), { signal });
    globalThis.document?.addEventListener("visibilitychange", wake, { signal });
    const offline = () => {
      if (!this.#isOver) this.#dropped(BROKEN);
    };
    globalThis.addEventListener?.("offline", offline, { signal });
  }

  /** Tell that nothing is heard for now; again when more is known of why. */
  #interrupted(answer) {
    const cause = causeOf(answer);
    // That a stream broke says less than what is known already.
    if (!this.#isReached && (cause === this.#cause || cause === "broken")) return;
    this.#isReached = false;
    this.#cause = cause;
    const isKnown = this.#place !== null && this.#timeoutMs > 0 && cause !== "unavailable";
    const keptUntil = isKnown ? new Date(this.#keptUntil) : null;
    this.#tell("connection", { state: "reconnecting", transport: null, cause, keptUntil });
  }

  /**
   * Note a sign of life that the server took in at `at` or later: from then on the place is kept for a heartbeat
   * timeout, or that share of it.
   */
  #proven(at, facts, share = 1) {
    const timeoutMs = facts.heartbeat_timeout_seconds ? 1000 * facts.heartbeat_timeout_seconds : this.#timeoutMs;
    // Another timeout counts from the next sign of life, which this is.
    if (timeoutMs !== this.#timeoutMs) this.#keptUntil = 0;
    this.#timeoutMs = timeoutMs;
    this.#keptUntil = Math.max(this.#keptUntil, at + share * timeoutMs);
  }

  #comeBack(answer, again) {
    if (answer.status === 0) this.#interrupted(answer);
    const askedMs = 1000 * (answer.retryAfterSeconds ?? 0);
    this.#after("again", Math.max(askedMs, 1000) * (1 + Math.random()) + this.#pause(), again);
  }

  /** Any while up to one that grows with every failure in a row, to half a minute. */
  #pause() {
    return Math.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(this.#failures++, 5));
  }

  #after(name, ms, action) {
    clearTimeout(this.#timers.get(name));
    if (!this.#isOver) this.#timers.set(name, setTimeout(action, ms));
  }

  // ------------------------------------------------------------------ requests

  #url(path) {
    return new URL(`/api/v1/queues/${this.#options.queue}/${path}`, this.#options.server);
  }

  #request() {
    const isCookie = this.#options.keep === "cookie";
    const headers = isCookie ? { "X-WR-Token": "cookie" } : {};
    if (!isCookie && this.#token) headers.Authorization = `Bearer ${this.#token}`;
    return { headers, credentials: isCookie ? "same-origin" : "omit", cache: "no-store" };
  }

  /** Ask the server; `status` 0 when there was no answer. */
  async #take(method, path, body, headers = {}) {
    const request = this.#request();
    Object.assign(request.headers, headers);
    if (body !== undefined) request.headers["Content-Type"] = "application/json";
    const sentAt = Date.now();
    try {
      const response = await fetch(this.#url(path), {
        ...request,
        method,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(REQUEST_PATIENCE_MS),
      });
      const answer = await response.json();
      if (response.ok && answer.token) this.#keep(answer.token);
      // While its store is away, the server drops nobody.
      const isKept = response.ok || answer.error?.code === "SERVICE_UNAVAILABLE";
      if (isKept) this.#proven(sentAt, answer);
      const after = Number(response.headers.get("Retry-After")) || null;
      return { ok: response.ok, status: response.status, body: answer, retryAfterSeconds: after };
    } catch {
      return { ok: false, status: 0, body: null, retryAfterSeconds: null };
    }
  }

  /** Another tab of this browser may have joined meanwhile, or may have left. */
  #recallToken() {
    if (this.#options.keep === "storage") this.#token = this.#remember("token");
  }

  #keep(token) {
    this.#token = token;
    if (this.#options.keep === "storage") this.#remember("token", token);
  }

  #forget() {
    this.#place = null;
    this.#token = null;
    for (const what of ["place", "first", "progress", "token"]) this.#remember(what, null);
  }

  /** Read what this browser remembers of the queue, or write it; null forgets. Private windows may refuse. */
  #remember(what, value) {
    if (this.#options.keep === "memory") return this.#inMemory(what, value);
    try {
      const key = `wr:${this.#options.queue}:${what}`;
      if (value === undefined) return localStorage.getItem(key);
      if (value === null) localStorage.removeItem(key);
      else localStorage.setItem(key, String(value));
      return value;
    } catch {
      return this.#inMemory(what, value);
    }
  }

  #inMemory(what, value) {
    if (value === undefined) return this.#memory.get(what) ?? null;
    if (value === null) this.#memory.delete(what);
    else this.#memory.set(what, String(value));
    return value;
  }
}
