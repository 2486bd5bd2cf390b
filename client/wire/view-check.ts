/** The door for views: what came over the wire or from a disk becomes a View here, or doesn't. */
import { limits } from './limits.ts';
import type { Member, View } from './view.ts';

/** Ids appear in logs, file names and transaction names, where ':' and spaces separate. */
export const nodeIdPattern = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const urlLengthMax = 256;

/** The view, made of nothing but its own fields, or what is wrong with it. */
export function validateView(value: unknown): View | string {
  if (!isRecord(value)) return 'a view that is no object';
  const { epoch, cluster, partitions, replicationFactor, members } = value;
  if (!isCount(epoch)) return 'a view with a bad epoch';
  if (!isName(cluster)) return 'a view with a bad cluster name';
  if (!isCount(partitions) || partitions < 1 || partitions > limits.partitionsMax || (partitions & (partitions - 1)) !== 0) {
    return `a view whose number of partitions is no power of two up to ${limits.partitionsMax}`;
  }
  if (!Array.isArray(members) || members.length < 1 || members.length > limits.membersMax) return `a view with no members, or more than ${limits.membersMax}`;
  if (!isCount(replicationFactor) || replicationFactor < 1 || replicationFactor > members.length) return 'a view whose replication factor is not between 1 and the number of its members';

  const checked: Member[] = [];
  for (const entry of members as unknown[]) {
    const member = memberOf(entry);
    if (typeof member === 'string') return member;
    const previous = checked.at(-1);
    if (previous !== undefined && previous.id >= member.id) return 'a view whose members are not sorted by id, each once';
    checked.push(member);
  }
  if (new Set(checked.map((member) => member.url)).size !== checked.length) return 'a view in which two members have one address';
  return { epoch, cluster, partitions, replicationFactor, members: checked };
}

function memberOf(entry: unknown): Member | string {
  if (!isRecord(entry)) return 'a view with a member that is no object';
  const { id, url, weight, zone } = entry;
  if (!isName(id) || !nodeIdPattern.test(id)) return 'a view with a bad node id';
  if (!isWebSocketUrl(url)) return `a view with a bad address of node ${id}`;
  if (typeof weight !== 'number' || !(weight >= limits.memberWeightMin && weight <= limits.memberWeightMax)) return `a view with a bad weight of node ${id}`;
  if (zone !== null && !isName(zone)) return `a view with a bad zone of node ${id}`;
  return { id, url, weight, zone };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= limits.nameLengthMax;
}

function isWebSocketUrl(value: unknown): value is string {
  return typeof value === 'string' && value.length <= urlLengthMax && /^wss?:\/\/[^\s/]+/.test(value) && URL.canParse(value);
}
