/**
 * What is done about rows that are not as they were. The partition is in doubt at once, and from then on its rows are gone through, branch by
 * branch of the digests, some in each turn: damaged ones are taken out, and the digests become those of what is left, so that
 * comparing them with others brings back what is missing. Until the last branch nobody is asked for that (heal/doubt.ts).
 *
 * What is taken out must be gone when the disk has taken that, what is there must be found by its key, once, and what was mended must stay so. Else
 * the tree is damaged by which LMDB finds its rows, and nothing that is put there can be relied on: then the node stops, and is to be replaced.
 */
import type { Runtime } from '../runtime/runtime.ts';
import type { Doubts } from './doubts.ts';
import { damagedTable, type CorruptValue } from './store-error.ts';
import type { TableWriter } from './table-writer.ts';
import type { Finding, Versions } from './versions.ts';

export interface DamageParts {
  readonly versions: () => Versions;
  readonly doubts: Doubts;
  readonly table: TableWriter;
  readonly runtime: Pick<Runtime, 'log' | 'fatal'>;
}

/** Mended in one turn: some milliseconds. */
const branchesPerTurnMax = 256;
const rowsPerTurnMax = 1_024;
/** Of one partition, since the node was started. What goes wrong again and again where it was put right is not the rows. */
const mendsMax = 5;

export class Damage {
  readonly #parts: DamageParts;
  /** Before, what is found is written with what opens the store. */
  #isOpen = false;
  /** How far the partition is that is being mended. */
  #partition = -1;
  #nextBranch = 0;
  /** Rows that had gone astray when they were looked at first. */
  readonly #astray = new Set<string>();
  /** In the partition that is being mended. */
  #foundDamage = false;
  /** How often something was found in each partition. */
  readonly #mended = new Map<number, number>();
  /** Data rows that were found damaged. */
  rows = 0;

  constructor(parts: DamageParts) {
    this.#parts = parts;
  }

  /** The table may be written from now on. */
  opened(): void {
    this.#isOpen = true;
  }

  found(partition: number, error: CorruptValue): void {
    this.rows++;
    this.#parts.runtime.log.error({ partition, error: error.message }, 'a row of the data table is damaged');
    this.doubt(partition, 'a row of the data table was damaged');
  }

  /** Something that was here is not here any more: the partition is in doubt, and of absent keys it can't be said what became of them. */
  doubt(partition: number, why: string): void {
    const { versions, doubts, table } = this.#parts;
    if (!doubts.damaged.has(partition) && (this.#mended.get(partition) ?? 0) >= mendsMax) this.#stop(`a partition was mended ${mendsMax} times, and again ${why}`, partition);
    doubts.damage(partition, why);
    versions().distrust(partition);
    if (partition === this.#partition) this.#partition = -1;
    // Before anything is written that takes the damage away, or a crash would leave neither the damage nor the doubt.
    if (this.#isOpen) table.write([...versions().tombstones.puts(partition), doubts.put()], () => {});
  }

  /** Reads a branch and says what it found. */
  check(partition: number, branch: number): Finding {
    const finding = this.#parts.versions().check(partition, branch);
    this.#judge(finding);
    return finding;
  }

  /** Goes on with what is to be mended. To be called now and then. */
  tick(): void {
    const { doubts } = this.#parts;
    let rows = 0;
    for (let count = 0; this.#isOpen && doubts.damaged.size > 0 && count < branchesPerTurnMax && rows < rowsPerTurnMax; count++) rows += this.#mendNext();
  }

  #mendNext(): number {
    const { doubts, versions, table } = this.#parts;
    if (!doubts.damaged.has(this.#partition)) {
      this.#partition = doubts.damaged.values().next().value as number;
      this.#nextBranch = 0;
      this.#foundDamage = false;
    }
    const partition = this.#partition;
    const branch = this.#nextBranch++;
    const { rows, damaged, puts, isTrue, astray } = versions().mend(partition, branch);
    this.#foundDamage ||= damaged.length > 0 || !isTrue;
    if (this.#nextBranch === versions().digests.branchesPerPartition) {
      this.#mended.set(partition, (this.#mended.get(partition) ?? 0) + Number(this.#foundDamage));
      doubts.mended(partition);
    }
    this.#judge({ astray });
    if (puts.length > 0) table.write(puts, () => this.#checkGone(partition, branch, damaged));
    return rows;
  }

  #checkGone(partition: number, branch: number, damaged: readonly Buffer[]): void {
    if (damaged.length === 0) return;
    const left = new Set(this.#parts.versions().check(partition, branch).damaged.map((at) => at.toString('hex')));
    if (damaged.some((at) => left.has(at.toString('hex')))) this.#stop('a row that was removed from it is still there', partition);
  }

  /** What has gone astray is looked at once more, in a later turn. */
  #judge({ astray }: Pick<Finding, 'astray'>): void {
    for (const at of astray) {
      const partition = at.readUInt16BE(1);
      if (this.#astray.has(at.toString('hex'))) this.#stop('a row that is there is not found by its key, or comes twice', partition);
      this.#astray.add(at.toString('hex'));
      this.doubt(partition, 'a row of the data table had gone astray');
    }
  }

  #stop(problem: string, partition: number): never {
    const { runtime } = this.#parts;
    return runtime.fatal(damagedTable(problem), { code: 'corrupt-table', partition });
  }
}
