/**
 * Bits that flip in what was durable. Of those in a journal a node learns at its next start, of those in a table when it reads the
 * row; then it must stop itself, for good, rather than go on without what it knew. Until nodes can be replaced a node that is hit may be lost, so it
 * hits only those that the scene can do without: fewer than a majority of any group, and always the same.
 */
import type { Collect } from '../../../client/wire/messages.ts';
import { blockBytes, headerBytes, payloadAt } from '../../../node/store/block.ts';
import { bookkeepingValue, looksLikeTombstone, metaKey } from '../../../node/store/rows.ts';
import { segmentName } from '../../../node/store/survey.ts';
import type { SimDisk } from '../disk.ts';
import type { Random } from '../random.ts';
import { list, ms, type Fault, type Injection, type Particulars, type Scene, type Site } from './fault.ts';

/** `amount` is where, from 0 to 1 of what there is at that time. */
const draw = (random: Random, { dispensable = [] }: Scene): Particulars | null => (dispensable.length === 0 ? null : { on: [random.pick(dispensable)], amount: random.float() });

/** The bytes of a log up to the last that is not zero. */
function writtenBytes(log: Buffer): number {
  let end = log.length;
  while (end > 0 && log[end - 1] === 0) end--;
  return end;
}

/** Whether a flipped bit was of something that the node will look at, and can't do without. */
type Damage = 'no' | 'perhaps' | 'surely';

/**
 * Flips a bit of what the disk wrote to a log last and then said was durable. That is the block of which no later one bears
 * witness, so the one that is most easily taken for torn.
 */
function spoilLastWrite(disk: SimDisk, place: number): Damage {
  const last = disk.lastFlush;
  const log = last === null ? undefined : disk.logs.get(last.name);
  if (last === null || log === undefined) return 'no';
  const bit = Math.floor(place * last.bytes * 8);
  const isWhole = blockBytes(log.readUInt32LE(last.position + 8)) === last.bytes;
  const records = isWhole ? payloadAt(log, last.position) : null;
  disk.flipLogBit(last.name, last.position + (bit >> 3), bit & 7);
  // A bit of its length had flipped before.
  if (records === null) return 'perhaps';
  // What changes neither the records nor what stands before them does no harm.
  const isHarmless = bit >> 3 >= headerBytes && payloadAt(log, last.position).equals(records);
  // A node that is to be reborn does not read its journal.
  const isUnread = disk.table.get(metaKey('lost')) !== undefined || last.name < segmentName(firstSegment(disk));
  return isHarmless || isUnread ? 'perhaps' : 'surely';
}

/** The first journal segment that counts, by the table; one that there is not if a bit of that row has flipped too. */
function firstSegment({ table }: SimDisk): number {
  const key = metaKey('journal');
  const row = table.get(key);
  try {
    return row === undefined ? 0 : (JSON.parse(bookkeepingValue(key, row).toString()) as { first: number }).first;
  } catch {
    return 1e8;
  }
}

/** Flips a bit of any log, in records that still count or others. */
function spoilLogs(disk: SimDisk, place: number): Damage {
  const logs = [...disk.logs].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, bytes]) => ({ name, bytes: writtenBytes(bytes) }));
  let bit = Math.floor(place * logs.reduce((sum, { bytes }) => sum + bytes, 0) * 8);
  for (const { name, bytes } of logs) {
    if (bit < bytes * 8) {
      disk.flipLogBit(name, bit >> 3, bit & 7);
      return 'perhaps';
    }
    bit -= bytes * 8;
  }
  return 'no';
}

const isData = ({ key }: { readonly key: Buffer }): boolean => key[0] === 0x64;

/** Flips a bit of the value of a data row, or of any row: most bytes are those of digests. */
function spoilTable(disk: SimDisk, place: number): Damage {
  const rows = [...disk.table.rows.entries()].filter(([, row]) => place < 0.5 || isData(row));
  let bit = Math.floor(((2 * place) % 1) * rows.reduce((sum, [, { value }]) => sum + value.length, 0) * 8);
  for (const [row, { value }] of rows) {
    if (bit < value.length * 8) {
      disk.flipTableBit(row, bit >> 3, bit & 7);
      return 'perhaps';
    }
    bit -= value.length * 8;
  }
  return 'no';
}

/** Flips a bit of the key of a data row: the row is missing in its place, and lies in another. */
function spoilTableKey(disk: SimDisk, place: number): Damage {
  const rows = [...disk.table.rows.entries()].filter(([, row]) => isData(row));
  const [index, row] = rows[Math.floor(place * rows.length)] ?? [];
  if (index === undefined || row === undefined) return 'no';
  const bit = Math.floor(place * 7_919) % (8 * (row.key.length - 1));
  disk.flipTableKeyBit(index, 1 + (bit >> 3), bit & 7);
  return 'perhaps';
}

/** Flips a bit of the value of a row that is no tombstone, in one of these partitions. */
function spoilLiving(partitions: readonly number[]): (disk: SimDisk, place: number) => Damage {
  return (disk, place) => {
    const rows = [...disk.table.rows.entries()].filter(([, row]) => isData(row) && partitions.includes(row.key.readUInt16BE(1)) && !looksLikeTombstone(row.value));
    const [index, row] = rows[Math.floor(place * rows.length)] ?? [];
    if (index === undefined || row === undefined) return 'no';
    const bit = Math.floor(place * 7_919) % (8 * row.value.length);
    disk.flipTableBit(index, bit >> 3, bit & 7);
    return 'perhaps';
  };
}

function spoil({ cluster }: Site, { on, amount }: Injection, how: (disk: SimDisk, place: number) => Damage): boolean {
  let count = 0;
  for (const host of on) {
    // A second bit might be the first one, flipped back.
    if (cluster.spoilt(host) === 'surely') continue;
    const damage = how(cluster.world.host(host).disk, amount);
    if (damage === 'no') continue;
    cluster.spoil(host, cluster.spoilt(host) === 'no' ? damage : 'perhaps');
    count++;
  }
  return count > 0;
}

/** The journal is read at a start, so there must be one. */
function killAndSpoil(how: (disk: SimDisk, place: number) => Damage) {
  return (site: Site, injection: Injection): boolean => {
    for (const host of injection.on) site.cluster.crash(host, injection.lastsMs);
    return spoil(site, injection, how);
  };
}

export const rot: readonly Fault[] = [
  {
    name: 'rot-last-write',
    everyMs: [2_000, 12_000],
    draw,
    begin: killAndSpoil(spoilLastWrite),
    words: ({ on, lastsMs }) => `${list(on)} killed, back after ${ms(lastsMs)} with one bit flipped in what its journal had flushed last`,
  },
  {
    name: 'rot-journal',
    everyMs: [2_000, 12_000],
    draw,
    begin: killAndSpoil(spoilLogs),
    words: ({ on, lastsMs }) => `${list(on)} killed, back after ${ms(lastsMs)} with one bit flipped somewhere in its journal`,
  },
  {
    name: 'rot-table',
    everyMs: [1_000, 12_000],
    draw,
    begin: (site, injection) => spoil(site, injection, spoilTable),
    words: ({ on }) => `one bit flips in a row of the table of ${list(on)}`,
  },
  {
    name: 'rot-table-key',
    everyMs: [1_000, 12_000],
    draw,
    begin: (site, injection) => spoil(site, injection, spoilTableKey),
    words: ({ on }) => `one bit flips in the key of a row of the table of ${list(on)}`,
  },
  {
    // From then on an absent key counts as deleted there, this one too unless the node is aware that it has lost something.
    name: 'rot-at-collect',
    everyMs: [500, 4_000],
    draw,
    begin(site, injection) {
      for (const host of injection.on) {
        const waits = ['send collect', 'receive collect'].map((moment) => site.frames.once(host, moment, (_remoteHost, message) => {
          for (const end of waits) end();
          if (spoil(site, { ...injection, on: [host] }, spoilLiving((message as Collect)[2]))) site.happens(injection);
        }, (message) => (message as Collect)[2].length > 0));
        site.undoAtEnd(() => waits.forEach((end) => end()));
      }
      return false;
    },
    words: ({ on }) => `one bit flips in a value of a partition of which ${list(on)} next hears that tombstones may go`,
  },
];
