/** The admin API's client. The key is kept here, in memory, and nowhere else: leaving the page forgets it. */

const BASE = "/api/v1/admin";

let adminKey = "";
let operator = "";
let open = new AbortController();
let whenRejected = () => {};

/** An answer that says no: `code`, `message`, `field` (which setting), `retryAfter` (seconds; 0: not said). */
export class Refused extends Error {
  constructor(status, envelope, retryAfter) {
    super(envelope?.error?.message ?? `The server answered ${status}`);
    this.name = "Refused";
    this.status = status;
    this.code = envelope?.error?.code ?? "";
    this.details = envelope?.error?.details ?? {};
    this.field = this.details.field ?? "";
    this.retryAfter = retryAfter;
    this.requestId = envelope?.request_id ?? "";
  }
}

/** No answer came: the server or the way to it is away. */
export class Unreachable extends Error {
  constructor() {
    super("The server is unreachable");
    this.name = "Unreachable";
    this.retryAfter = 0;
  }
}

/** The console was left before the answer came: nobody is to be told. */
export class Left extends Error {}

/** Say what happens when the key is refused. */
export function onRejected(listener) {
  whenRejected = listener;
}

/** Take a key, after seeing that the server accepts it. Throws `Refused` (403) and takes nothing if it does not. */
export async function signIn(key, name) {
  forget();
  adminKey = key;
  operator = name;
  try {
    return await request("GET", "/queues");
  } catch (error) {
    forget();
    throw error;
  }
}

/** Forget the key and the name, and whatever is still being asked. */
export function forget() {
  adminKey = "";
  operator = "";
  open.abort();
  open = new AbortController();
}

/** Whether there is a key. */
export const isSignedIn = () => adminKey !== "";

/** The name that goes with every change; empty when none was given. */
export const operatorName = () => operator;

export const listQueues = () => guarded("GET", "/queues");
/** A queue's settings with the template of its page, which lists leave out. */
export const getQueue = (id) => guarded("GET", `/queues/${encodeURIComponent(id)}`);
export const createQueue = (settings) => guarded("POST", "/queues", settings);
export const updateQueue = (id, changes) => guarded("PATCH", `/queues/${encodeURIComponent(id)}`, changes);
export const silentOf = (id, seconds) =>
  guarded("GET", `/queues/${encodeURIComponent(id)}/silent?timeout_seconds=${seconds}`);
export const deleteQueue = (id) => guarded("DELETE", `/queues/${encodeURIComponent(id)}`);
export const flushQueue = (id) => guarded("POST", `/queues/${encodeURIComponent(id)}/flush`);
export const history = (id, span) => guarded("GET", `/queues/${encodeURIComponent(id)}/history?span=${span}`);
export const findPosition = (id) => guarded("GET", `/positions/${encodeURIComponent(id)}`);
export const findSession = (id) => guarded("GET", `/sessions/${encodeURIComponent(id)}`);
export const terminateSession = (id, wish) =>
  guarded("DELETE", `/sessions/${encodeURIComponent(id)}`, wish);
export const issuePasses = (id, wish) => guarded("POST", `/queues/${encodeURIComponent(id)}/passes`, wish);
export const revokePass = (id, wish) =>
  guarded("POST", `/queues/${encodeURIComponent(id)}/passes/revoke`, wish);
export const listBlocks = (id) => guarded("GET", `/queues/${encodeURIComponent(id)}/blocks`);
export const addBlock = (id, wish) => guarded("POST", `/queues/${encodeURIComponent(id)}/blocks`, wish);
export const endBlock = (id, blockId) =>
  guarded("DELETE", `/queues/${encodeURIComponent(id)}/blocks/${encodeURIComponent(blockId)}`);

/** Changes, newest first: all, or those of one queue; `before` continues where an answer's `next` says. */
export function audit({ queueId = "", limit = 50, before = "" } = {}) {
  const query = new URLSearchParams({ limit: String(limit) });
  if (queueId) query.set("queue_id", queueId);
  if (before) query.set("before", before);
  return guarded("GET", `/audit?${query}`);
}

async function guarded(method, path, body) {
  try {
    return await request(method, path, body);
  } catch (error) {
    if (error instanceof Refused && error.code === "FORBIDDEN") whenRejected(error);
    throw error;
  }
}

async function request(method, path, body) {
  const { signal } = open;
  const headers = { "X-Admin-Key": headerText(adminKey) };
  if (operator) headers["X-Operator"] = encodeURIComponent(operator);
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  let answer;
  try {
    response = await fetch(BASE + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: "no-store",
      credentials: "omit",
    });
    answer = await response.json().catch(() => null);
  } catch {
    throw signal.aborted ? new Left() : new Unreachable();
  }
  if (signal.aborted) throw new Left();
  if (!response.ok || answer === null) {
    throw new Refused(response.status, answer, Number(response.headers.get("Retry-After")) || 0);
  }
  return answer;
}

/** Spell a text as a header may carry it: its UTF-8 bytes, one character each. */
function headerText(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
