/** The version of this module. The first number grows with each incompatible change. */
export const version: string;

export interface Options {
  /** The queue's id. */
  queue: string;
  /** The origin of the waiting room. Default: the origin of this module. */
  server?: string;
  /**
   * Where the place's token is kept: in a cookie that no script can read (default on the waiting room's own site), in
   * this site's storage (default on other sites), or in memory while the page is open. Only this token gives the place
   * back.
   */
  keep?: "cookie" | "storage" | "memory";
  /** A path of the target's site, with its query, to open instead of the target's own path. */
  back?: string;
  /** Facts for the operator. A `user_id` is no proof: if it already holds a place, the join is refused. */
  metadata?: Record<string, string | number | boolean>;
  /** 0 to 3, higher goes first. The server limits it to the queue's `open_priority`. A pass may give a higher one. */
  priority?: number;
  /** A pass of the site (a JWT). Each join sends it as `X-WR-Pass`. */
  pass?: string;
}

/** Why a pass is not valid. `other_queue`: it was issued for another queue. */
export type PassReason = "invalid" | "expired" | "not_yet" | "other_queue" | "used_up" | "revoked";

/** Why a join was refused. */
export type Refusal =
  | {
      /**
       * The module tries again by itself. `too_many_places`: visitors with this network address already hold as many
       * places as one address may.
       */
      reason: "full" | "maintenance" | "limited" | "unavailable" | "too_many_places";
      retryAfterSeconds: number | null;
    }
  | {
      /**
       * The module does not try again. `unknown`: the queue does not exist. `identity_taken`: another browser holds a
       * place with the same user id, or with the same network address if the queue allows only one place for each.
       * `pass_required`: joining requires a pass.
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
      /** The pass is not valid, and this browser holds no place. The module does not try again. */
      reason: "pass_invalid";
      retryAfterSeconds: null;
      passReason: PassReason;
    };

export interface Place {
  /** From 1, which is the next to be admitted. */
  position: number;
  ahead: number;
  queueLength: number;
  estimatedWaitSeconds: number;
  /** Why no visitor is admitted just now. Null while visitors are admitted. */
  heldBecause: "paused" | "maintenance" | null;
  /** Whether places are being restored after an outage. The order is kept, and no visitor is admitted meanwhile. */
  isRecovering: boolean;
  /** From 0 to 1; never goes back. */
  progress: number;
  updatedAt: Date;
}

/**
 * `offline`: the browser has no network. `unreachable`: no response came, because of the network or of the waiting
 * room. `unavailable`: the waiting room responds that it cannot work just now. `broken`: the connection ended, and the
 * module is about to try again.
 */
export type Interruption = "offline" | "unreachable" | "unavailable" | "broken";

export interface WaitingRoomEvents {
  /**
   * The visitor has a place: a new one, or the one this browser already had. If the pass was refused but the browser
   * had a place without it, `passRefused` is the reason. Otherwise it is null.
   */
  joined: CustomEvent<{
    positionId: string;
    isNew: boolean;
    hadExpired: boolean;
    passRefused: PassReason | null;
  }>;
  /** The state of the place, sent with each update. */
  position: CustomEvent<Place>;
  /** It is this visitor's turn: go to `entryUrl`. */
  admitted: CustomEvent<{ sessionToken: string; redirectUrl: string; entryUrl: string }>;
  /**
   * The place has ended: `heartbeat_timeout`, `session_timeout`, `flushed`, `terminated`, `expired`, …
   * `wasInterrupted`: it ended while there was no connection.
   */
  ended: CustomEvent<{ reason: string; wasInterrupted: boolean }>;
  /** The visitor has left. */
  left: CustomEvent<Record<string, never>>;
  /** The visitor got no place. */
  refused: CustomEvent<Refusal>;
  /**
   * The connection is live or interrupted. It is sent again when the cause is better known. The module keeps trying,
   * and `live` after `reconnecting` means that the place was kept. The place is kept at least until `keptUntil`. That
   * is null without a place, and while the waiting room is unavailable, because then it keeps all places.
   */
  connection: CustomEvent<
    | { state: "live"; transport: "websocket" | "events" | "polling" }
    | { state: "reconnecting"; transport: null; cause: Interruption; keptUntil: Date | null }
  >;
}

/** Joins one queue for one visitor, and reports changes as events. */
export class WaitingRoom extends EventTarget {
  constructor(options: Options);
  /** The last known state of the place, or null without a place. */
  readonly place: Place | null;
  /** The pass that the next join sends. Empty if there is none. It starts as the option `pass`. */
  pass: string;
  /** Join, or continue with the place that this browser already has. Runs until admitted, ended, left or closed. */
  join(): Promise<void>;
  /** Give up the place. Resolves to whether the server has confirmed it. */
  leave(): Promise<boolean>;
  /** Stop. The place stays until it expires, and `join` continues with it. */
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

/** The URL for an admitted visitor: the target with the session token, `wr_token`. */
export function entryUrl(redirectUrl: string, sessionToken: string, back?: string): string;
