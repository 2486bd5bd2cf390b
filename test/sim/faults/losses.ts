/**
 * Nodes that lose their memory, or are away for so long that the others have gone on without them: the disk is wiped, or put back to an older
 * image and marked as such, as restoring a recovery point does. Whoever has forgotten is told by the others, so it hits only those that the scene
 * can do without: fewer than a majority of any group, and always the same.
 */
import { InventoriedTable } from '../../../node/store/inventory.ts';
import { lostPut } from '../../../node/store/meta.ts';
import type { DiskImage } from '../disk.ts';
import type { Random } from '../random.ts';
import type { TableImage } from '../table-image.ts';
import { list, ms, type Fault, type Particulars, type Scene, type Site } from './fault.ts';

const draw = (random: Random, { dispensable = [] }: Scene): Particulars | null => (dispensable.length === 0 ? null : { on: random.shuffled(dispensable).slice(0, 1 + random.below(dispensable.length)).sort(), amount: random.float() });

/** Few clusters can do without two, and much that may go wrong takes two that have forgotten. */
const weight = ({ dispensable = [] }: Scene): number => (dispensable.length > 1 ? 4 : 1);

/** How much longer than other faults last an absence is, for which a run has time once. */
const absenceFactor = 20;

/** As `markLost` leaves it. */
function marked(image: TableImage): TableImage {
  let result = image;
  const table = new InventoriedTable({
    get: (key) => image.get(key), range: (from, to) => image.range(from, to), write: (puts) => (result = image.with(puts)), copy: () => {}, close: (done) => done(),
  });
  table.write([lostPut({ above: 0, why: 'restored from an older image' })], () => {});
  return result;
}

interface Copy {
  readonly host: string;
  readonly image: DiskImage;
}

const copiesOf = ({ cluster: { world } }: Site, hosts: readonly string[]): Copy[] => hosts.map((host) => ({ host, image: world.host(host).disk.image() }));

function putBack({ cluster }: Site, copies: readonly Copy[], downMs: number): void {
  for (const { host, image } of copies) {
    // Its own start may have been under way: then there is nothing yet that could be put back.
    if (image.table.rows.length === 0) continue;
    cluster.crash(host, downMs);
    cluster.restore(host, { ...image, table: marked(image.table) });
  }
}

export const losses: readonly Fault[] = [
  {
    name: 'lost-disk',
    everyMs: [1_500, 8_000],
    weight,
    draw,
    begin({ cluster }, { on, lastsMs }) {
      for (const host of on) {
        cluster.crash(host, lastsMs);
        cluster.wipe(host);
      }
      return true;
    },
    words: ({ on, lastsMs }) => `${list(on)} killed, back after ${ms(lastsMs)} with an empty disk`,
  },
  {
    name: 'old-image',
    everyMs: [1_500, 8_000],
    weight,
    draw,
    begin(site, { on, amount, lastsMs }) {
      const copies = copiesOf(site, on);
      site.undoAfter(amount * 3_000, () => putBack(site, copies, lastsMs));
      return true;
    },
    words: ({ on, amount, lastsMs }) => `the disk of ${list(on)} is copied; ${ms(amount * 3_000)} later it is killed, back after ${ms(lastsMs)} on the copy, marked as such`,
  },
  {
    // The life between has begun transactions, and ends above that in which the node comes back; and those who come back with it never heard of it.
    name: 'old-image-again',
    everyMs: [1_500, 8_000],
    weight,
    draw: (random, { dispensable = [] }) => (dispensable.length === 0 ? null : { on: random.shuffled(dispensable), amount: random.float() }),
    begin(site, { on, amount, lastsMs }) {
      const { ids, world } = site.cluster;
      const copies = copiesOf(site, on);
      site.undoAfter(amount * 500, () => putBack(site, copies.slice(0, 1), lastsMs));
      site.undoAfter(amount * 2_000 + 500 + lastsMs, () => {
        putBack(site, copies, lastsMs);
        site.undoAfter(2 * lastsMs + 500, world.network.partition(on, ids.filter((id) => !on.includes(id))).heal);
      });
      return true;
    },
    words: ({ on, amount, lastsMs }) => `the disk of ${list(on)} is copied; ${ms(amount * 500)} later ${on[0]} is killed, back after ${ms(lastsMs)} on the copy, marked as such; ${ms(amount * 1_500 + 500)} after that so is ${list(on)}, parted from all other nodes for ${ms(2 * lastsMs + 500)}`,
  },
  {
    name: 'long-absence',
    everyMs: [4_000, 12_000],
    draw,
    begin({ cluster }, { on, lastsMs }) {
      for (const host of on) cluster.crash(host, lastsMs * absenceFactor);
      return true;
    },
    words: ({ on, lastsMs }) => `${list(on)} killed, back after ${ms(lastsMs * absenceFactor)}`,
  },
];
