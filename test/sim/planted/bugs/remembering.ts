/** Mistakes in what must outlive a crash, and in what may be forgotten when. */
import type { PlantedBug } from '../bug.ts';

const ledger = 'node/txn/ledger.ts';
const participant = 'node/txn/participant.ts';
const retention = 'node/txn/retention.ts';

export const rememberingBugs: readonly PlantedBug[] = [
  {
    name: 'vote-before-flush',
    wrong: 'An OK vote leaves before its record is on the disk.',
    patches: [{ module: participant, find: 'else this.#afterwards(from, vote);', replace: 'else this.#outbox.send(from, vote);' }],
  },
  {
    name: 'promise-before-flush',
    wrong: 'A promise to a recoverer leaves before its record is on the disk.',
    patches: [{ module: participant, find: 'this.#afterwards(from, [\n      Tag.promise,', replace: 'void this.#outbox.send(from, [\n      Tag.promise,' }],
  },
  {
    name: 'acceptance-before-flush',
    wrong: 'An acceptance leaves before its record is on the disk.',
    patches: [{ module: participant, find: 'this.#afterwards(from, [Tag.accepted,', replace: 'void this.#outbox.send(from, [Tag.accepted,' }],
  },
  {
    name: 'locks-forgotten-on-restart',
    wrong: 'A restart brings votes back, but not the locks that go with them.',
    patches: [{
      module: ledger,
      find: '  replay(record: JournalRecord): void {\n    this.#apply(record);\n',
      replace: `  replay(record: JournalRecord): void {
    this.#apply(record);
    if (record[0] === Kind.prepared) {
      const txn = this.find({ node: record[1], incarnation: record[2], number: record[3] });
      const { readKeys, writeKeys } = this.parse(record[7]);
      if (txn !== undefined) for (const key of [...readKeys, ...writeKeys]) this.locks.release(key, txn, []);
    }
`,
    }],
  },
  {
    name: 'promises-forgotten-on-restart',
    wrong: 'A restart brings promises not back.',
    patches: [{ module: ledger, find: '  replay(record: JournalRecord): void {\n', replace: '  replay(record: JournalRecord): void {\n    if (record[0] === Kind.promised) return;\n' }],
  },
  {
    name: 'acceptances-forgotten-on-restart',
    wrong: 'A restart brings acceptances not back.',
    patches: [{ module: ledger, find: '  replay(record: JournalRecord): void {\n', replace: '  replay(record: JournalRecord): void {\n    if (record[0] === Kind.accepted) return;\n' }],
  },
  {
    name: 'incarnation-not-counted',
    wrong: 'A node that restarts takes the same incarnation again, so its transactions get names that were used before.',
    patches: [{ module: 'node/store/rebirth.ts', find: 'incarnation: facts.incarnation + 1,', replace: 'incarnation: facts.incarnation,' }],
  },
  {
    name: 'watermark-passes-undecided',
    wrong: 'A coordinator’s watermark says that all below is decided, and some of it is not.',
    patches: [
      {
        module: 'node/txn/coordinator.ts',
        find: "    for (const running of this.#running.values()) if (running.phase !== 'decided') watermark = Math.min(watermark, running.start.number, ...running.start.body.others);\n",
        replace: '',
      },
      { module: 'node/txn/commits.ts', find: "if (state === 'waiting' || state === 'running') lowest", replace: "if (state === 'waiting') lowest" },
    ],
  },
  {
    name: 'exceptions-ignored',
    wrong: 'Replicas forget a decided transaction although some replica has not acknowledged its outcome.',
    patches: [{ module: 'node/txn/lives.ts', find: 'return number < this.watermark && !this.exceptions.has(number);', replace: 'return number < this.watermark;' }],
  },
  {
    name: 'closed-too-early',
    wrong: 'A dead coordinator’s life is closed when those have spoken that have nothing undecided of it; the others aren’t awaited.',
    patches: [{ module: 'node/txn/closing.ts', find: 'const all = topology.view.members.map(({ id }) => claimants.get(id) ?? 0);', replace: 'const all = [...claimants.values()];' }],
  },
  {
    name: 'outcomes-not-retained',
    wrong: 'A finished transaction’s outcome is forgotten at once, so a client that asks late is told that it was aborted.',
    patches: [{ module: ledger, find: 'this.#retained.add(id, timestamp, this.#nowMs());', replace: '{ /* forgotten */ }' }],
  },
  {
    name: 'outcomes-lost-on-restart',
    wrong: 'Retained outcomes that were checkpointed are not read back.',
    patches: [{ module: retention, find: 'this.#lifeOf(name).chunks.set(Number(index), { timestamps, touchedAtMs: nowMs, dirty: false });', replace: '' }],
  },
  {
    name: 'one-replica-says-aborted',
    wrong: 'One replica of the home group that has no commit of that name is enough for an abort: it may never have heard of it.',
    patches: [{ module: 'node/txn/recovery.ts', find: 'if (!isQuorum(isFinished && scope', replace: 'if (!isFinished && !isQuorum(isFinished && scope' }],
  },
];
