/** The client of the admin API. It keeps the admin key in memory only, so leaving the page forgets it. */

const BASE = "/api/v1/admin";

let adminKey = "";
let operator = "";
let open = new AbortController();
let whenRejected = () => {};

/** An error response: `code`, `message`, `field` (the setting), `retryAfter` (seconds, 0 if not given). */
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

/** No response came: the server or the network does not work. */
export class Unreachable extends Error {
  constructor() {
    super("The server is unreachable");
    this.name = "Unreachable";
    this.retryAfter = 0;
  }
}

/** The operator signed out before the response came. It is not shown. */
export class Left extends Error {}

/** Set the function to call when the server refuses the key. */
export function onRejected(listener) {
  whenRejected = listener;
}

/** Keep a key if the server accepts it. Otherwise throw `Refused` (403) and keep nothing. */
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

/** Forget the key and the name, and abort all requests in progress. */
export function forget() {
  adminKey = "";
  operator = "";
  open.abort();
  open = new AbortController();
}

/** Whether there is a key. */
export const isSignedIn = () => adminKey !== "";

/** The operator's name, which is sent with every change. Empty if none was given. */
export const operatorName = () => operator;

export const listQueues = () => guarded("GET", "/queues");
/** The settings of a queue, with its page template, which lists leave out. */
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
export const terminateSession = (id, body) =>
  guarded("DELETE", `/sessions/${encodeURIComponent(id)}`, body);
export const issuePasses = (id, body) => guarded("POST", `/queues/${encodeURIComponent(id)}/passes`, body);
export const revokePass = (id, body) =>
  guarded("POST", `/queues/${encodeURIComponent(id)}/passes/revoke`, body);
export const listBlocks = (id) => guarded("GET", `/queues/${encodeURIComponent(id)}/blocks`);
export const addBlock = (id, body) => guarded("POST", `/queues/${encodeURIComponent(id)}/blocks`, body);
export const endBlock = (id, blockId) =>
  guarded("DELETE", `/queues/${encodeURIComponent(id)}/blocks/${encodeURIComponent(blockId)}`);

/** Changes, newest first, of all queues or of one. `before` is the `next` of an earlier response. */
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

/** Encode a text for a header: its UTF-8 bytes, one character for each byte. */
function headerText(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
