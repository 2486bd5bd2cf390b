/** A database as the harness starts it, on this machine, for as long as it is measured. */
import type { Session } from './session.ts';

export const targetNames = ['dtp', 'etcd', 'zookeeper', 'postgres', 'redis'] as const;
export type TargetName = (typeof targetNames)[number];

/** All that a client's process needs to know to connect; it travels as a message. */
export interface Address {
  readonly target: TargetName;
  readonly urls: readonly string[];
  /** Where clients that must may keep files; it goes when the servers stop. */
  readonly directory?: string | undefined;
  /** Of targets that can do the same in several ways: which one. */
  readonly variant?: string | undefined;
}

/** Of all processes, since they were started. */
export interface Running {
  readonly address: Address;
  readonly version: string;
  /** What it was told that matters for the figures. */
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  /** Names of the members, and their present processes. */
  readonly processes: Readonly<Record<string, number>>;
  /** Members that can be lost without the target standing still for ever. */
  readonly members: readonly string[];
  /** SIGKILL. Resolves when it is gone. */
  kill(member: string): Promise<void>;
  /** Starts a member that was killed. Resolves when it runs, which it may before it serves. */
  restart(member: string): Promise<void>;
  /** SIGSTOP and SIGCONT: what a machine that hangs looks like from outside. */
  pause(member: string): void;
  resume(member: string): void;
  /** Resolves to whether, from now on and within half a minute, this member came to agree with all others; null where they can't be asked. */
  readonly agreedAgain: ((member: string) => Promise<boolean>) | null;
  stop(): Promise<void>;
}

export interface Target {
  readonly name: TargetName;
  readonly title: string;
  /** What it keeps of what it acknowledges, in a line. */
  readonly promise: string;
  /** Its servers can add to integers by themselves. */
  readonly hasCounters: boolean;
  /** What to install, in words for people; null if nothing is missing. */
  missing(): string | null;
  /** Resolves when it serves. `flags`: of Node.js, where it is one. */
  start(options?: { readonly flags?: readonly string[] }): Promise<Running>;
  connect(address: Address): Promise<Session>;
}
