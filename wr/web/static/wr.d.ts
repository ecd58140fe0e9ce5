/** The version of this module; the first number grows when something here stops working as it did. */
export const version: string;

export interface Options {
  /** The queue's id. */
  queue: string;
  /** Where the waiting room is, as an origin; by default where this module came from. */
  server?: string;
  /**
   * Where the place's token is kept: in a cookie that no script can read (the default on the waiting room's own
   * site), in this site's storage (the default elsewhere), or for as long as the page is open. Each join says so, and
   * the server then gives the place back to this token alone.
   */
  keep?: "cookie" | "storage" | "memory";
  /** A path of the target's site, with its query, to go to instead of the target's own. */
  back?: string;
  /** Facts for the operator. A `user_id` proves nothing: where it holds a place already, the join is refused. */
  metadata?: Record<string, string | number | boolean>;
  /** 0 to 3; higher goes first. The server lowers it to the queue's `open_priority`; a pass may prove a higher one. */
  priority?: number;
  /** A pass of the site (a JWT), which each join brings as `X-WR-Pass`. */
  pass?: string;
}

/** Why a pass does not count. `other_queue`: it was issued for another queue. */
export type PassReason = "invalid" | "expired" | "not_yet" | "other_queue" | "used_up" | "revoked";

/** Why a join was refused. */
export type Refusal =
  | {
      /**
       * The module tries again by itself. `too_many_places`: visitors with this network address hold as many places
       * as one address may.
       */
      reason: "full" | "maintenance" | "limited" | "unavailable" | "too_many_places";
      retryAfterSeconds: number | null;
    }
  | {
      /**
       * The module does not try again. `unknown`: there is no such queue. `identity_taken`: another browser holds a
       * place under the same user id, or from the same network address where the queue allows one place for each.
       * `pass_required`: the queue takes visitors with a pass only.
       */
      reason: "unknown" | "identity_taken" | "pass_required";
      retryAfterSeconds: null;
    }
  | {
      /** The visitor cannot join before `blockedUntil`. The module does not try again. */
      reason: "blocked";
      retryAfterSeconds: null;
      blockedUntil: Date;
    }
  | {
      /** The pass does not count, and this browser holds no place. The module does not try again. */
      reason: "pass_invalid";
      retryAfterSeconds: null;
      passReason: PassReason;
    };

export interface Place {
  /** From 1, the next to be let in. */
  position: number;
  ahead: number;
  queueLength: number;
  estimatedWaitSeconds: number;
  /** Why nobody is being let in just now; null while people are. */
  heldBecause: "paused" | "maintenance" | null;
  /** Whether places are being put back after an interruption: the order is kept, and nobody is let in meanwhile. */
  isRecovering: boolean;
  /** From 0 to 1; never goes back. */
  progress: number;
  updatedAt: Date;
}

/**
 * `offline`: the browser says that it has no network. `unreachable`: no answer came, and whether that is because of the
 * network or of the waiting room cannot be told. `unavailable`: the waiting room answers that it cannot work just now.
 * `broken`: the connection ended, and the module is about to ask.
 */
export type Interruption = "offline" | "unreachable" | "unavailable" | "broken";

export interface WaitingRoomEvents {
  /**
   * A place was found: a new one, or the one this browser had. `passRefused` is the reason why the pass does not count
   * where this browser had a place without it; otherwise null.
   */
  joined: CustomEvent<{
    positionId: string;
    isNew: boolean;
    hadExpired: boolean;
    passRefused: PassReason | null;
  }>;
  /** Where the place stands; comes whenever that is known anew. */
  position: CustomEvent<Place>;
  /** It is this visitor's turn: go to `entryUrl`. */
  admitted: CustomEvent<{ sessionToken: string; redirectUrl: string; entryUrl: string }>;
  /**
   * The place is over: `heartbeat_timeout`, `session_timeout`, `flushed`, `terminated`, `expired`, …
   * `wasInterrupted`: it ended while the server was not heard.
   */
  ended: CustomEvent<{ reason: string; wasInterrupted: boolean }>;
  /** The visitor has left. */
  left: CustomEvent<Record<string, never>>;
  /** The visitor got no place. */
  refused: CustomEvent<Refusal>;
  /**
   * How news comes, or that it does not for now; again when more is known of the cause. The module keeps trying, and
   * `live` after `reconnecting` means that the place was kept. `keptUntil`: until then the place is kept at least; it
   * may be kept longer. Null without a place, and while the waiting room itself is unavailable, which keeps all places.
   */
  connection: CustomEvent<
    | { state: "live"; transport: "websocket" | "events" | "polling" }
    | { state: "reconnecting"; transport: null; cause: Interruption; keptUntil: Date | null }
  >;
}

/** One line for one visitor, kept up to date. */
export class WaitingRoom extends EventTarget {
  constructor(options: Options);
  /** The last that is known of the place; null without one. */
  readonly place: Place | null;
  /** The pass that the next join brings; empty for none. Begins as the option `pass`. */
  pass: string;
  /** Join, or take up the place this browser has already. Goes on until let in, over, left or closed. */
  join(): Promise<void>;
  /** Give the place up. Resolves to whether the server knows. */
  leave(): Promise<boolean>;
  /** Stop listening. The place stays until it expires; `join` takes it up again. */
  close(): void;
  addEventListener<Name extends keyof WaitingRoomEvents>(
    type: Name,
    listener: (event: WaitingRoomEvents[Name]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Name extends keyof WaitingRoomEvents>(
    type: Name,
    listener: (event: WaitingRoomEvents[Name]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
}

/** Where somebody who was let in goes: the target with `wr_token`, the session token, added. */
export function entryUrl(redirectUrl: string, sessionToken: string, back?: string): string;
