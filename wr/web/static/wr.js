/**
 * The JavaScript client of the waiting room: joins one queue for one visitor, and reports changes as events.
 *
 *     import { WaitingRoom } from "https://wait.example.com/wr.js";
 *     const room = new WaitingRoom({ queue: "concert" });
 *     room.addEventListener("position", ({ detail }) => show(detail.position));
 *     room.addEventListener("admitted", ({ detail }) => location.replace(detail.entryUrl));
 *     room.join();
 *
 * Updates arrive over a WebSocket. If that is blocked, the client falls back to server-sent events, then to
 * polling. After an interruption each client waits a random time first, so that not all clients reconnect at the
 * same moment. Types and all events: wr.d.ts beside this file.
 */

export const version = "1.2.0";

const ASKED_TO_COME_BACK = 1012;
const NEVER_OPENED = 0;
const BROKEN = -1;
const OPENING_PATIENCE_MS = 8_000;
const REQUEST_PATIENCE_MS = 10_000;
const SILENCE_MS = 120_000;
/** Share of the heartbeat timeout for which an update on a stream keeps the place: its delivery takes time. */
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
/** Refusals after which the module does not try again. */
const FINAL = new Set(["unknown", "identity_taken", "blocked", "pass_required", "pass_invalid"]);
/** The longest pass that the server reads. A longer one is cut, and is not valid either way. */
const LONGEST_PASS = 4096;

/** A random secret for one join. If a response is lost, the server finds the place again with it. */
const newKey = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** A random time between half of `ms` and `ms`, so that it never exceeds the limit. */
const within = (ms) => ms * (0.5 + Math.random() / 2);

/** The cause of an interruption. `answer` is the result of the last request, or null if a stream broke. */
function causeOf(answer) {
  if (answer?.body?.error?.code === "SERVICE_UNAVAILABLE") return "unavailable";
  if (globalThis.navigator?.onLine === false) return "offline";
  return answer?.status === 0 ? "unreachable" : "broken";
}

const reasonOf = (answer) => answer.body?.error?.details?.reason ?? "expired";

/** The details of a refused join for the page: see `refused` in wr.d.ts. */
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

/** Run `action` while no other tab of this site runs it, if the browser supports locks. */
const alone = (name, action) => (globalThis.navigator?.locks ? navigator.locks.request(name, action) : action());

/**
 * The URL for an admitted visitor: the target, or another path of the same site, with the session token, which the
 * site verifies.
 */
export function entryUrl(redirectUrl, sessionToken, back = "") {
  const target = new URL(redirectUrl);
  const wished = new URL(back.startsWith("/") ? back : redirectUrl, redirectUrl);
  const url = wished.origin === target.origin ? wished : target;
  // Edited as text, because other parameters may be signed and must not change.
  const kept = url.search.slice(1).split("&").filter((part) => part && part.split("=")[0] !== "wr_token");
  url.search = [...kept, `wr_token=${sessionToken}`].join("&");
  return url.href;
}

export class WaitingRoom extends EventTarget {
  /** The pass that each join sends. Empty if there is none. */
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

  /** The last known state of the place, or null without a place. */
  get place() {
    return this.#place;
  }

  /** Join, or continue with the place that this browser already has. Runs until admitted, ended, left or closed. */
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

  /** Give up the place. Resolves to whether the server has confirmed it. */
  async leave() {
    this.close();
    // Waits for a join in progress, here or in another tab, and gives up the place that it gets.
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

  /** Stop. The place stays until it expires, and `join` continues with it. */
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
    // If two tabs open at the same time, the second one finds the place of the first.
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

  /** Whether a later call has replaced this run, so that its result must be ignored. */
  #isStale(run) {
    return this.#isOver || run !== this.#run;
  }

  #alone(action) {
    return alone(`wr:${this.#options.queue}`, action);
  }

  /** Find the place of this browser, or join. With a pass, always join: it may raise the place. */
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
    // The pass was refused. Keep the place that the visitor already has without it.
    const known = await this.#findKept();
    const { reason, passReason } = refusalOf(joined);
    if (known === null || reason !== "pass_invalid") return joined;
    this.#passRefused = passReason;
    return known;
  }

  /** Continue with the place that this browser remembers. Null if it has ended. */
  async #findKept() {
    const known = await this.#take("POST", "heartbeat", {});
    // Without a response the place may still exist, so it is not given up.
    if (!PLACE_IS_OVER.has(known.status)) return { ...known, isKept: true };
    this.#hadExpired = known.status === 410;
    this.#forget();
    return null;
  }

  #enqueue() {
    const { keep, metadata, priority } = this.#options;
    const headers = {};
    // Only the token gives the place back. This client keeps it and sends it.
    if (keep !== "cookie") headers["X-WR-Token"] = "client";
    // An invalid pass may contain characters that no header can hold.
    if (this.pass) headers["X-WR-Pass"] = encodeURIComponent(this.pass).slice(0, LONGEST_PASS);
    return this.#join({ metadata, priority }, headers);
  }

  /** Join with a key that stays the same until there is a place, even if the page is reloaded. */
  async #join(body, headers) {
    headers["Idempotency-Key"] = this.#remember("key") ?? this.#remember("key", newKey());
    let answer = await this.#take("POST", "enqueue", body, headers);
    if (answer.status === 422) {
      // An earlier try used the key with other contents.
      headers["Idempotency-Key"] = this.#remember("key", newKey());
      answer = await this.#take("POST", "enqueue", body, headers);
    }
    if (answer.ok) this.#remember("key", null);
    return answer;
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

  /** Handle a successful response to a join or a heartbeat. */
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

  // ------------------------------------------------------------------ events

  #moved(data) {
    const first = Math.max(Number(this.#remember("first") ?? 0), data.position);
    this.#remember("first", first);
    const reached = (first - data.position) / first;
    // The progress never goes back, even if a visitor with a higher priority has joined in front.
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

  // ------------------------------------------------------------------ live updates

  #connect() {
    this.#hangUp();
    if (this.#isOver) return;
    const transport = TRANSPORTS[this.#transport];
    this.#heardAt = Date.now();
    // Also while a stream is open, to renew the token long before it expires after half an hour.
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
    // The server sends the position at once. If nothing arrives, the stream is not open, even if a proxy says so.
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
      // Blocked, refused or broken: the next try handles all of these.
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
    } else if (type === "token") this.#keep(data.token);
    else if (type === "admitted") this.#enter(data);
    else if (type === "expired") this.#ended(data.reason);
  }

  /** Handle the end of a stream: try again after a random time, with another transport if this one never opens. */
  #dropped(code, answer = null) {
    this.#hangUp();
    if (this.#isOver) return;
    if (code === NEVER_OPENED) {
      if (++this.#unopened >= TRIES_PER_TRANSPORT && this.#transport < TRANSPORTS.length - 1) {
        this.#transport += 1;
        this.#unopened = 0;
      }
      // Perhaps only this transport is blocked. A request shows whether the server is reachable.
      return this.#after("again", Math.random() * 2_000, () => this.#ask());
    }
    this.#interrupted(answer);
    // When a server stops, all its streams end at once. All places are kept, so clients can spread their returns.
    this.#after("again", code === ASKED_TO_COME_BACK ? Math.random() * 5_000 : this.#pause(), () => this.#ask());
  }

  /** Request the state of the place and continue from there. It also shows whether the server is reachable. */
  async #ask() {
    this.#hangUp();
    if (this.#place === null) return this.#start();
    const run = this.#run;
    const answer = await this.#take("POST", "heartbeat", {});
    if (this.#isStale(run)) return;
    if (answer.ok) {
      if (!this.#isReached) this.#transport = 0; // The network may have changed: try the best transport again.
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
    // Streams stay open during an outage of the store. Opening them all again would overload the server.
    const isOpen = this.#socket !== null || this.#reading !== null;
    if (!isOpen || causeOf(answer) !== "unavailable") return this.#dropped(BROKEN, answer);
    this.#interrupted(answer);
    this.#comeBack(answer, () => this.#beat());
  }

  #isPolling() {
    return TRANSPORTS[this.#transport] === "polling";
  }

  /**
   * Watch for a stream that is silent for long. Either nobody is admitted, or the connection is dead. A heartbeat in
   * time shows which, and keeps the place.
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
      // The stream should have sent this change, so it is dead.
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

  /** Report an interruption, and report it again when the cause is better known. */
  #interrupted(answer) {
    const cause = causeOf(answer);
    // A broken stream gives less information than a cause that is already known.
    if (!this.#isReached && (cause === this.#cause || cause === "broken")) return;
    this.#isReached = false;
    this.#cause = cause;
    const isKnown = this.#place !== null && this.#timeoutMs > 0 && cause !== "unavailable";
    const keptUntil = isKnown ? new Date(this.#keptUntil) : null;
    this.#tell("connection", { state: "reconnecting", transport: null, cause, keptUntil });
  }

  /**
   * Note a heartbeat that the server received at `at` or later. From then on it keeps the place for a heartbeat
   * timeout, or for the given share of it.
   */
  #proven(at, facts, share = 1) {
    const timeoutMs = facts.heartbeat_timeout_seconds ? 1000 * facts.heartbeat_timeout_seconds : this.#timeoutMs;
    // A changed timeout applies from the next heartbeat, which is this one.
    if (timeoutMs !== this.#timeoutMs) this.#keptUntil = 0;
    this.#timeoutMs = timeoutMs;
    this.#keptUntil = Math.max(this.#keptUntil, at + share * timeoutMs);
  }

  #comeBack(answer, again) {
    if (answer.status === 0) this.#interrupted(answer);
    const askedMs = 1000 * (answer.retryAfterSeconds ?? 0);
    this.#after("again", Math.max(askedMs, 1000) * (1 + Math.random()) + this.#pause(), again);
  }

  /** A random time up to a limit that grows with each failure in a row, to half a minute. */
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

  /** Send a request. `status` is 0 if there was no response. */
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
      // While the store is unreachable, the server ends no places.
      const isKept = response.ok || answer.error?.code === "SERVICE_UNAVAILABLE";
      if (isKept) this.#proven(sentAt, answer);
      const after = Number(response.headers.get("Retry-After")) || null;
      return { ok: response.ok, status: response.status, body: answer, retryAfterSeconds: after };
    } catch {
      return { ok: false, status: 0, body: null, retryAfterSeconds: null };
    }
  }

  /** Read the token again, because another tab of this browser may have joined or left. */
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
    for (const what of ["place", "first", "progress", "token", "key"]) this.#remember(what, null);
  }

  /** Read or write a value that this browser remembers for the queue. Null removes it. Private windows may refuse. */
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
