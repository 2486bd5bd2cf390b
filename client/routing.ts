/**
 * Which node a request goes to, and what must be known for that: the view, learned from whichever node welcomes us, and
 * a session with every member, opened ahead of need so that the loss of one costs no more than sending elsewhere.
 *
 * A dead node is recognised by its session (liveness.ts), not here: a replica is live if its session is open.
 */
import { Peer } from './peer.ts';
import { Cache } from './cache.ts';
import type { Settings } from './options.ts';
import type { Environment, Timer } from './wire/environment.ts';
import { DtpError, errorCodes, type ErrorCode } from './wire/errors.ts';
import { Link, linkDefaults } from './wire/link.ts';
import { Leads } from './wire/leads.ts';
import { Tag, type Hello, type Key, type Refuse, type Welcome } from './wire/messages.ts';
import { Placement } from './wire/placement.ts';
import { protocolVersion, Session, type SessionEnd } from './wire/session.ts';
import { validateView } from './wire/view-check.ts';
import type { View } from './wire/view.ts';

/** How often deadlines are looked at. */
const sweepIntervalMs = 25;
/** After the first session, how long `connect` waits for the others, so that first requests go where later ones will. */
const settlingMs = 300;

/** A link, and the member it leads to. */
class Line {
  /** Null for a given address of which it isn't known yet. */
  peer: Peer | null;
  /** Why there is no session; null while there is one, or while the first is being opened. */
  failure: SessionEnd | null = null;
  readonly link: Link;

  constructor(peer: Peer | null, open: (line: Line) => Link) {
    this.peer = peer;
    this.link = open(this);
  }
}

/** What the router stops when its time has come. */
interface Watched {
  readonly deadlineAtMs: number;
  expire(): void;
  closeDown(): void;
}

type State =
  | { phase: 'opening'; done: (error: DtpError | null) => void; readonly timeout: Timer; settling: Timer | null }
  | { phase: 'open' }
  | { phase: 'closed' };

/** What became of the writes and transactions of a database handle so far. */
export interface ClientStats {
  /** How often a write or a transaction was begun, each repetition included. */
  readonly attempts: number;
  /** Attempts after the first of their write or transaction. */
  readonly retries: number;
  /** Commits whose coordinator was lost or could not tell their outcome, so that others were asked. */
  readonly lost: number;
  /** Those of them whose outcome was learned. */
  readonly resolved: number;
}

export class Router {
  readonly environment: Environment;
  readonly settings: Settings;
  /** Told by nodes: where transactions on contended keys had better go. */
  readonly leads = new Leads();
  readonly cache: Cache;
  readonly stats = { attempts: 0, retries: 0, lost: 0, resolved: 0 } satisfies ClientStats;
  #state: State;
  #cluster: string | null;
  #placement: Placement | null = null;
  readonly #lines = new Set<Line>();
  readonly #peers = new Map<string, Peer>();
  readonly #calls = new Set<Watched>();
  readonly #timers = new Set<Timer>();
  #sweeping = false;
  /** A session opened for nothing but its welcome. */
  #refresh: Session | null = null;

  /** Resolves when a member answers; rejects if none does in time, or all that answer refuse. */
  static open(settings: Settings, environment: Environment): Promise<Router> {
    return new Promise((resolve, reject) => {
      const router: Router = new Router(settings, environment, (error) => {
        if (error === null) return resolve(router);
        router.close();
        reject(error);
      });
    });
  }

  private constructor(settings: Settings, environment: Environment, done: (error: DtpError | null) => void) {
    this.settings = settings;
    this.environment = environment;
    this.cache = new Cache(settings.cacheBytes, () => this.nowMs());
    this.#cluster = settings.cluster;
    const timeout = this.later(settings.connectTimeoutMs, () => this.#opened(this.#anybodyUp ? null : this.#connectError()));
    this.#state = { phase: 'opening', done, timeout, settling: null };
    for (const url of settings.nodes) this.#dial(url, null);
  }

  get closed(): boolean {
    return this.#state.phase === 'closed';
  }

  nowMs(): number {
    return this.environment.clock.monotonicMs();
  }

  get view(): View {
    return this.#known.view;
  }

  get epoch(): number {
    return this.#known.view.epoch;
  }

  readonly partitionOf = (key: Key): number => this.#known.partitionOf(key);

  /** The replicas of a partition, in the order in which linearizable reads prefer them. */
  groupOf(partition: number): readonly string[] {
    return this.#known.groupOf(partition);
  }

  /** The first live replica of the partition; one that is just back only if there is no other, and `avoid` only if there is not even that. */
  replicaFor(partition: number, avoid: Peer | null): Peer | null {
    return this.#firstLive(this.#known.groupOf(partition), avoid);
  }

  /** Of the same replicas the one that is to coordinate transactions, by the same rule. */
  coordinatorFor(partition: number, avoid: Peer | null): Peer | null {
    return this.#firstLive(this.#known.coordinatorsOf(partition), avoid);
  }

  #firstLive(ids: readonly string[], avoid: Peer | null): Peer | null {
    const nowMs = this.nowMs();
    let justBack: Peer | null = null;
    let last: Peer | null = null;
    for (const id of ids) {
      const peer = this.#peers.get(id);
      if (peer === undefined || peer.session === null) continue;
      if (peer === avoid) last = peer;
      else if (!peer.isJustBack(nowMs)) return peer;
      else justBack ??= peer;
    }
    return justBack ?? last;
  }

  /** All live nodes: replicas of the partition first, `last` behind all others. */
  liveNodes(partition: number, last: string): Peer[] {
    const ids = new Set([...this.#known.coordinatorsOf(partition), ...this.#peers.keys()]);
    if (ids.delete(last)) ids.add(last);
    const live: Peer[] = [];
    for (const id of ids) {
      const peer = this.#peers.get(id);
      if (peer !== undefined && peer.session !== null) live.push(peer);
    }
    return live;
  }

  /** Every member, in the view's order. */
  get members(): { readonly id: string; readonly url: string; readonly peer: Peer }[] {
    return this.view.members.map(({ id, url }) => ({ id, url, peer: this.#peers.get(id) as Peer }));
  }

  /** Each member's state in words, for messages. */
  describeNodes(): string {
    return this.members.map(({ id, url, peer }) => `${id} at ${url} ${peer.session === null ? peer.downReason || 'has not answered yet' : 'is connected'}`).join('; ');
  }

  /** Takes the call under the router's watch until it leaves. */
  enter(call: Watched): void {
    this.#calls.add(call);
    if (this.#sweeping) return;
    this.#sweeping = true;
    this.later(sweepIntervalMs, this.#sweep);
  }

  leave(call: Watched): void {
    this.#calls.delete(call);
  }

  /** A write or a transaction is tried, for the nth time. */
  countAttempt(nth: number): void {
    this.stats.attempts++;
    if (nth > 1) this.stats.retries++;
  }

  /** A timer that does not outlive the router. */
  later(delayMs: number, action: () => void): Timer {
    const timer = this.environment.after(delayMs, () => {
      this.#timers.delete(handle);
      action();
    });
    const handle: Timer = {
      cancel: () => {
        timer.cancel();
        this.#timers.delete(handle);
      },
    };
    this.#timers.add(handle);
    return handle;
  }

  /** Asks this node, which has another view than ours, what its view is. Views are told in welcomes, so one more session is opened, and closed at once. */
  refreshView(peer: Peer | null): void {
    const member = this.view.members.find(({ id }) => id === peer?.id);
    if (this.#refresh !== null || member === undefined || this.closed) return;
    this.#refresh = Session.dial(this.environment, member.url, this.#hello(member.id), linkDefaults, {
      judge: (welcome) => this.#judge(welcome, member.id),
      opened: (session) => {
        this.#learn(session.welcome);
        session.close('the view was all that was wanted');
      },
      received: () => {},
      closed: () => {
        this.#refresh = null;
      },
    });
  }

  /** Ends all that is under way: calls, timers, sessions. Resolves when the last words have been sent. */
  close(): Promise<void> {
    if (!this.closed) {
      // Calls first, while their messages can still be sent; none can begin any more.
      this.#state = { phase: 'closed' };
      for (const call of this.#calls) call.closeDown();
      for (const timer of this.#timers) timer.cancel();
      for (const line of this.#lines) line.link.close('the client closed its database handle');
      this.#lines.clear();
      this.#refresh?.abort('the client closed its database handle');
    }
    return new Promise((resolve) => this.environment.defer(resolve));
  }

  get #known(): Placement {
    if (this.#placement === null) throw new Error('the view is asked for before a node has told it');
    return this.#placement;
  }

  readonly #sweep = (): void => {
    const nowMs = this.nowMs();
    for (const call of this.#calls) if (call.deadlineAtMs <= nowMs) call.expire();
    this.#sweeping = this.#calls.size > 0;
    if (this.#sweeping) this.later(sweepIntervalMs, this.#sweep);
  };

  #hello(expectedNode: string | null): Hello {
    return [Tag.hello, protocolVersion, this.#cluster, null, null, 0, 0, 0, 0, expectedNode];
  }

  #dial(url: string, peer: Peer | null): void {
    this.#lines.add(new Line(peer, (line) => new Link(this.environment, url, () => this.#hello(line.peer?.id ?? null), linkDefaults, {
      judge: (welcome) => this.#judge(welcome, line.peer?.id ?? null),
      up: (_link, session) => this.#up(line, session),
      received: (_session, message) => {
        if (message[0] !== Tag.lead) line.peer?.received(message);
        else if (message[2] < this.view.partitions) this.leads.learn(message[1], message[2], this.nowMs());
      },
      down: (_link, end) => this.#down(line, end),
      failed: (_link, end) => this.#down(line, end),
    })));
  }

  #judge([, , cluster, nodeId, , , , , , view]: Welcome, expectedNode: string | null): Refuse | null {
    if (this.#cluster !== null && cluster !== this.#cluster) return [Tag.refuse, 'wrong-cluster', `a node of cluster ${cluster} answers, not of ${this.#cluster}`, 0];
    if (expectedNode !== null && nodeId !== expectedNode) return [Tag.refuse, 'wrong-node', `node ${nodeId} answers, not ${expectedNode}`, 0];
    const checked = validateView(view);
    return typeof checked === 'string' ? [Tag.refuse, 'bad-message', checked, 0] : null;
  }

  #up(line: Line, session: Session): void {
    line.failure = null;
    this.#learn(session.welcome);
    if (line.peer === null) this.#claim(line, session);
    if (!this.#lines.has(line)) return; // Its node has left, or is reached by another link.
    line.peer?.up(session, this.nowMs());
    this.#dialMissing();
    this.#checkOpening();
  }

  #down(line: Line, end: SessionEnd): void {
    line.failure = end;
    // A cluster that was stopped may come back as it was at an earlier time, and take versions of its lost future for those that it has not heard of yet.
    if ([...this.#peers.values()].every((peer) => peer === line.peer || peer.session === null)) this.cache.clear();
    line.peer?.down(end.message);
    this.#checkOpening();
  }

  /** Takes over the view that a node welcomed us with, if it is newer than ours. */
  #learn(welcome: Welcome): void {
    const view = validateView(welcome[9]);
    if (typeof view === 'string' || (this.#placement !== null && view.epoch <= this.epoch)) return;
    this.#cluster = welcome[2];
    this.#placement = new Placement(view);
    const urls = new Map(view.members.map(({ id, url }) => [id, url]));
    for (const line of this.#lines) if (line.peer !== null && !urls.has(line.peer.id)) this.#drop(line, 'it is no member any more');
    for (const id of this.#peers.keys()) if (!urls.has(id)) this.#peers.delete(id);
    for (const id of urls.keys()) if (!this.#peers.has(id)) this.#peers.set(id, new Peer(id));
    if (this.#state.phase !== 'opening') this.#dialMissing();
  }

  /** A given address has turned out to be this member's: it becomes the link to it, unless there is a working one. */
  #claim(line: Line, session: Session): void {
    const peer = this.#peers.get(session.peer.nodeId ?? '');
    const rival = peer === undefined ? undefined : this.#lineTo(peer);
    if (peer === undefined || rival?.link.session) return this.#drop(line, 'this node is reached by another link');
    if (rival !== undefined) this.#drop(rival, 'this node is reached by another link');
    line.peer = peer;
  }

  #dialMissing(): void {
    for (const { id, url } of this.view.members) {
      const peer = this.#peers.get(id) as Peer;
      if (this.#lineTo(peer) !== undefined) continue;
      const seed = [...this.#lines].find((line) => line.peer === null && line.link.url === url);
      if (seed === undefined) {
        this.#dial(url, peer);
      } else {
        seed.peer = peer;
        if (seed.failure !== null) peer.down(seed.failure.message);
      }
    }
  }

  #lineTo(peer: Peer): Line | undefined {
    for (const line of this.#lines) if (line.peer === peer) return line;
    return undefined;
  }

  #drop(line: Line, reason: string): void {
    this.#lines.delete(line);
    line.link.close(reason);
    line.peer?.down(reason);
  }

  #checkOpening(): void {
    const state = this.#state;
    if (state.phase !== 'opening') return;
    if (this.#placement === null) {
      // Refusals of a kind that only somebody's change of a configuration or a version can end.
      if ([...this.#lines].every(({ failure }) => isLasting(failure?.code))) this.#opened(this.#connectError());
      return;
    }
    if (!this.#anybodyUp) return;
    if ([...this.#peers.values()].every((peer) => peer.session !== null || peer.downReason !== '')) return this.#opened(null);
    state.settling ??= this.later(settlingMs, () => this.#opened(null));
  }

  get #anybodyUp(): boolean {
    for (const peer of this.#peers.values()) if (peer.session !== null) return true;
    return false;
  }

  #opened(error: DtpError | null): void {
    if (this.#state.phase !== 'opening') return;
    const { done, timeout, settling } = this.#state;
    timeout.cancel();
    settling?.cancel();
    this.#state = { phase: 'open' };
    done(error);
  }

  #connectError(): DtpError {
    const nodes: Record<string, string> = {};
    let code: ErrorCode = 'unreachable';
    for (const { link, failure } of this.#lines) {
      nodes[link.url] = failure?.message ?? 'no answer';
      if (failure?.code && isLasting(failure.code)) code = failure.code;
    }
    const what = code === 'unreachable' ? `No node answered within ${this.settings.connectTimeoutMs} ms` : 'No node would have us';
    return new DtpError(code, `${what}: ${Object.entries(nodes).map(([url, reason]) => `${url}: ${reason}`).join('; ')}.`, { nodes });
  }
}

function isLasting(code: ErrorCode | null | undefined): boolean {
  return code !== null && code !== undefined && !errorCodes[code].retryable;
}
