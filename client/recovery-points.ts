/** Recovery points: copies of a node's data that it keeps, for starting it from one of them again (`dtp restore`). */
import type { Inquiry, Member } from './inquiry.ts';
import { NodeCall } from './node-call.ts';
import { invalid, type OperationOptions } from './options.ts';
import type { Router } from './routing.ts';
import { DtpError, isErrorCode } from './wire/errors.ts';
import { PointState, Tag, type Points } from './wire/messages.ts';

export interface RecoveryPoint {
  /** The directory that holds it, in the node's `recovery-points`. */
  readonly name: string;
  /** When it was begun. */
  readonly takenAt: Date;
  readonly bytes: number;
}

/** What one node keeps. */
export interface NodeRecoveryPoints extends Member {
  /** If not, `reason` says why, and nothing is known of its points. */
  readonly reachable: boolean;
  readonly reason?: string;
  readonly points: readonly RecoveryPoint[];
  /** The name of the one that is being made. */
  readonly underWay: string | null;
}

interface Listed extends RecoveryPoint {
  readonly state: PointState;
  readonly code: string | null;
  readonly message: string | null;
}

function listedOf([, , flat]: Points): Listed[] {
  const listed: Listed[] = [];
  for (let i = 0; i < flat.length; i += 6) {
    const [name, state, atMs, bytes, code, message] = flat.slice(i, i + 6) as [string, PointState, number, number, string | null, string | null];
    listed.push({ name, takenAt: new Date(atMs), bytes, state, code, message });
  }
  return listed;
}

function keptOf(points: Points): RecoveryPoint[] {
  return listedOf(points).filter(({ state }) => state === PointState.kept).map(({ name, takenAt, bytes }) => ({ name, takenAt, bytes }));
}

export const pointsInquiry: Inquiry<NodeRecoveryPoints> = {
  message: (request) => [Tag.listPoints, request],
  answered: (node, answer) => {
    if (answer[0] !== Tag.points) return { ...node, reachable: false, reason: 'it answered something else', points: [], underWay: null };
    return { ...node, reachable: true, points: keptOf(answer), underWay: listedOf(answer).find(({ state }) => state === PointState.underWay)?.name ?? null };
  },
  silent: (node, reason) => ({ ...node, reachable: false, reason, points: [], underWay: null }),
};

const pollIntervalMs = 100;
/** A question that is lost is asked again this often: the node may only be busy, and its copy goes on. */
const lostMax = 20;

export async function keepPoint(router: Router, node: string, name: string, options: OperationOptions | undefined): Promise<RecoveryPoint> {
  if (name.length === 0) throw invalid('name', 'a name of at least one character', name);
  let answer = await new NodeCall<Points>(router, options, node, (request) => [Tag.keepPoint, request, name], Tag.points, `keep the recovery point ${name}`).begin();
  for (let lost = 0; ; ) {
    const point = listedOf(answer).find((each) => each.name === name);
    if (point === undefined) throw new DtpError('outcome-unknown', `Node ${node} was restarted while it made the recovery point ${name}; there is none now.`, { node, name });
    if (point.state === PointState.kept) return { name, takenAt: point.takenAt, bytes: point.bytes };
    if (point.state === PointState.failed) throw new DtpError(point.code !== null && isErrorCode(point.code) ? point.code : 'disk-failed', `Node ${node} could not keep the recovery point ${name}: ${point.message ?? ''}`, { node, name });
    await new Promise<void>((resume) => void router.later(pollIntervalMs, resume));
    try {
      answer = await list(router, node, options);
      lost = 0;
    } catch (error) {
      if (!(error instanceof DtpError) || !error.retryable || error.code === 'cancelled' || ++lost > lostMax) throw error;
    }
  }
}

export async function removePoint(router: Router, node: string, name: string, options: OperationOptions | undefined): Promise<RecoveryPoint[]> {
  return keptOf(await new NodeCall<Points>(router, options, node, (request) => [Tag.removePoint, request, name], Tag.points, `remove the recovery point ${name}`).begin());
}

function list(router: Router, node: string, options: OperationOptions | undefined): Promise<Points> {
  return new NodeCall<Points>(router, options, node, (request) => [Tag.listPoints, request], Tag.points, null).begin();
}
