/**
 * Nodes that lose their memory, or are away for so long that the others have gone on without them: the disk is wiped, or put back to an older
 * image and marked as such, as restoring a recovery point does. Whoever has forgotten is told by the others, so it hits only those that the scene
 * can do without: fewer than a majority of any group, and always the same.
 */
import { InventoriedTable } from '../../../node/store/inventory.ts';
import { lostPut } from '../../../node/store/meta.ts';
import type { Random } from '../random.ts';
import type { TableImage } from '../table-image.ts';
import { list, ms, type Fault, type Particulars, type Scene } from './fault.ts';

const draw = (random: Random, { dispensable = [] }: Scene): Particulars | null => (dispensable.length === 0 ? null : { on: random.shuffled(dispensable).slice(0, 1 + random.below(dispensable.length)).sort(), amount: random.float() });

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

export const losses: readonly Fault[] = [
  {
    name: 'lost-disk',
    everyMs: [1_500, 8_000],
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
    draw,
    begin(site, { on, amount, lastsMs }) {
      const images = on.map((host) => ({ host, image: site.cluster.world.host(host).disk.image() }));
      site.undoAfter(amount * 3_000, () => {
        for (const { host, image } of images) {
          // Its own start may have been under way: then there is nothing yet that could be put back.
          if (image.table.rows.length === 0) continue;
          site.cluster.crash(host, lastsMs);
          site.cluster.restore(host, { ...image, table: marked(image.table) });
        }
      });
      return true;
    },
    words: ({ on, amount, lastsMs }) => `the disk of ${list(on)} is copied; ${ms(amount * 3_000)} later it is killed, back after ${ms(lastsMs)} on the copy, marked as such`,
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
