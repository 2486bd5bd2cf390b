/**
 * The heartbeats of one side of a session: sends them, times the answers, and judges from these whether the peer lives.
 *
 * When this process itself was stopped - a long collection, a suspended machine - the answers wait unread in the socket,
 * and the first thing to run may be the timer that would find everybody silent. So the lateness of our own timer, up to
 * the moment at hand, is taken off everybody's silence first: a stopped process can't tell, so it gives its peers that
 * much more time.
 */
import type { Environment, Timer } from './environment.ts';
import { limits } from './limits.ts';
import { Liveness } from './liveness.ts';
import type { LivenessOptions } from './liveness.ts';

export interface HeartbeatOptions extends LivenessOptions {
  /** The phi (liveness.ts) at which the peer is taken for dead. */
  readonly suspicionThreshold: number;
}

export class Heartbeat {
  readonly #environment: Environment;
  readonly #options: HeartbeatOptions;
  readonly #beat: (nowMs: number) => void;
  readonly #suspect: (why: string) => void;
  readonly #liveness: Liveness;
  #timer: Timer | null = null;
  /** When the timer ought to fire. Later than that, this process was held up. */
  #dueMs = Number.POSITIVE_INFINITY;
  #roundTripMs = 0;

  /** Once started, calls `beat` at each interval, until it is stopped or calls `suspect`, which it does once. */
  constructor(environment: Environment, options: HeartbeatOptions, beat: (nowMs: number) => void, suspect: (why: string) => void) {
    this.#environment = environment;
    this.#options = options;
    this.#beat = beat;
    this.#suspect = suspect;
    this.#liveness = new Liveness(options, environment.clock.monotonicMs());
  }

  start(): void {
    this.#next(this.#environment.clock.monotonicMs());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Smoothed as TCP does it (RFC 6298); 0 until the first answer. */
  get roundTripMs(): number {
    return this.#roundTripMs;
  }

  get phi(): number {
    return this.#liveness.phi(this.#environment.clock.monotonicMs());
  }

  /** A frame arrived. */
  heard(nowMs: number): void {
    this.#excuseOwnPause(nowMs);
    this.#liveness.heard(nowMs);
  }

  /** A frame held answers to heartbeats. A slow peer gives several in one frame: that is one beat of its rhythm. */
  answered(nowMs: number): void {
    this.#liveness.heartbeat(nowMs);
  }

  /** The answer to the heartbeat that was sent at that instant. */
  measure(sentAtMs: number, nowMs: number): void {
    const sampleMs = nowMs - sentAtMs;
    // A peer that makes up the instants it echoes must not upset the average.
    if (sampleMs < 0 || sampleMs > limits.deadlineMsMax) return;
    this.#roundTripMs = this.#roundTripMs === 0 ? sampleMs : this.#roundTripMs + (sampleMs - this.#roundTripMs) / 8;
  }

  readonly #onDue = (): void => {
    const nowMs = this.#environment.clock.monotonicMs();
    this.#excuseOwnPause(nowMs);
    const phi = this.#liveness.phi(nowMs);
    if (phi >= this.#options.suspicionThreshold) return this.#suspect(`no sign of life for ${Math.round(this.#liveness.silenceMs(nowMs))} ms (phi ${phi.toFixed(1)})`);
    this.#next(nowMs);
  };

  #next(nowMs: number): void {
    this.#dueMs = nowMs + this.#options.heartbeatIntervalMs;
    this.#timer = this.#environment.after(this.#options.heartbeatIntervalMs, this.#onDue);
    this.#beat(nowMs);
  }

  #excuseOwnPause(nowMs: number): void {
    const lateMs = nowMs - this.#dueMs;
    if (lateMs <= 0) return;
    this.#liveness.excuse(lateMs);
    // Excused up to now; what follows until the timer fires is lateness again.
    this.#dueMs = nowMs;
  }
}
