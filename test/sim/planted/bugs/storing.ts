/** Mistakes in the store: journal, overlay, checkpoints, digests. */
import type { PlantedBug } from '../bug.ts';

const checkpoint = 'node/store/checkpoint.ts';
const versions = 'node/store/versions.ts';
const journal = 'node/store/journal.ts';
const segments = 'node/store/segments.ts';

export const storingBugs: readonly PlantedBug[] = [
  {
    name: 'trimmed-before-checkpoint',
    wrong: 'The journal is trimmed when a checkpoint begins, not when it is durable.',
    patches: [{ module: checkpoint, find: '  journal.whenDurable(next);', replace: '  journal.whenDurable(() => {\n    journal.trim(first);\n    next();\n  });' }],
  },
  {
    name: 'journal-begins-too-late',
    wrong: 'The first slice of a checkpoint already says that the journal counts only from the present segment on.',
    patches: [
      { module: checkpoint, find: '  let slice = emptySlice();\n\n', replace: '  let slice = emptySlice();\n  slice.puts.push(journalPut({ first, ...journal.durable }));\n\n' },
    ],
  },
  {
    name: 'carried-records-dropped',
    wrong: 'Records of undecided transactions are not journalled again before their segment goes.',
    patches: [{ module: checkpoint, find: 'for (const record of owner.carry(first)) journal.append(record);', replace: 'owner.carry(first);' }],
  },
  {
    name: 'overlay-dropped-early',
    wrong: 'The overlay lets its versions go before the table has them.',
    patches: [{ module: checkpoint, find: '  const state = owner.persist();\n', replace: '  overlay.drop();\n  const state = owner.persist();\n' }],
  },
  {
    name: 'head-cache-not-refreshed',
    wrong: 'A checkpoint writes newer rows than those whose versions are remembered.',
    patches: [{ module: checkpoint, find: 'heads.update(key, version === 0 ? absent : { version, tombstone, checksum });', replace: '{ void [heads, absent, version, tombstone, checksum]; }' }],
  },
  {
    name: 'table-ahead-of-journal',
    wrong: 'A checkpoint doesn’t wait for the journal: the table may have versions whose outcome a crash takes back.',
    patches: [{ module: checkpoint, find: '  journal.whenDurable(next);', replace: '  next();' }],
  },
  {
    name: 'digest-without-tombstones',
    wrong: 'Deleting a key doesn’t change the digest, so a replica that missed it never learns of it.',
    patches: [{ module: versions, find: 'this.digests.change(partition, leaf, itemA, itemB, wasA, wasB);', replace: 'if (value !== null) this.digests.change(partition, leaf, itemA, itemB, wasA, wasB);' }],
  },
  {
    name: 'outcome-replayed-without-writes',
    wrong: 'A restart applies the writes that stand in the outcome’s own record, and forgets those that were journalled with the vote.',
    patches: [{
      module: 'node/txn/ledger.ts',
      find: '  replay(record: JournalRecord): void {\n    this.#apply(record);\n',
      replace: `  replay(record: JournalRecord): void {
    if (record[0] === Kind.outcome && record[5] === null) {
      const txn = this.find({ node: record[1], incarnation: record[2], number: record[3] });
      if (txn?.state === 'prepared' && txn.body !== null) {
        this.#unlock(txn, this.parse(txn.body));
        txn.body = null;
      }
    }
    this.#apply(record);
`,
    }],
  },
  {
    name: 'torn-tail-believed',
    wrong: 'A block of the journal is believed without looking at its checksum.',
    patches: [{ module: 'node/store/block.ts', find: 'if (end > file.length || checksum(file, offset, payloadAt(file, offset)) !== file.readUInt32LE(offset + 4)) return -1;', replace: 'if (end > file.length) return -1;' }],
  },
  {
    name: 'exchange-overlooks-leaves',
    wrong: 'Anti-entropy compares all but the last child of each node of the tree.',
    patches: [{ module: 'node/heal/exchange-walk.ts', find: 'for (let child = 0; child * shortBytes < ours.length; child++) {', replace: 'for (let child = 0; (child + 1) * shortBytes < ours.length; child++) {' }],
  },
  {
    name: 'failed-flush-repeated',
    wrong: 'After a failed write of the journal only its flush is asked for again, and believed: what the disk had dropped is not there.',
    patches: [{ module: journal, find: '() => this.#attempt(payload));', replace: '() => this.#written(payload.length));' }],
  },
  {
    name: 'failed-file-written-on',
    wrong: 'After a failed write the journal goes on in the same file, behind the place where it failed.',
    patches: [
      { module: segments, find: 'if (error === undefined) this.#offset = end;', replace: 'this.#offset = end;' },
      {
        module: segments, find: 'if (this.#current !== null) this.#leave(0);',
        replace: `if (this.#current === null) return;
    const { fileBytes, log } = this.#current;
    log.close();
    this.#current = { log: this.#disk.openLog(segmentName(this.#sequence), fileBytes), fileBytes };`,
      },
    ],
  },
  {
    name: 'told-before-rewritten',
    wrong: 'Who waits for records whose write failed is told that they are durable before they are written again.',
    patches: [{ module: journal, find: '    this.#segments.abandon();\n', replace: '    this.#segments.abandon();\n    for (const action of (this.#underWay as Batch).actions.splice(0)) action();\n' }],
  },
  {
    name: 'trimmed-after-failed-batch',
    wrong: 'A checkpoint goes on, and the journal is trimmed, although the table has refused a slice.',
    patches: [{ module: 'node/store/table-writer.ts', find: 'if (error !== undefined) return this.#failed(error);', replace: 'if (error !== undefined) void this.#trouble.failed(\'table\', error);' }],
  },
  {
    name: 'unable-and-silent',
    wrong: 'A replica whose disk takes no writes turns outcomes away and does not say so: their coordinator waits for it for ever.',
    patches: [{ module: 'node/txn/participant.ts', find: 'return from === node ? this.#voteNo(from, id, Vote.unable, 0) : undefined;', replace: 'return;' }],
  },
];
