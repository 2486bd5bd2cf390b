/** Mistakes about batches: in the names that their parts go by, and in what may follow one another within one. */
import type { PlantedBug } from '../bug.ts';

const batches = 'node/txn/batches.ts';
const commits = 'node/txn/commits.ts';
const ledger = 'node/txn/ledger.ts';
const participant = 'node/txn/participant.ts';

export const batchBugs: readonly PlantedBug[] = [
  {
    name: 'part-recovered-alone',
    wrong: 'A replica that holds a batch tells who recovers a part of it that it has no vote, so the part may be aborted by its name although the batch commits.',
    patches: [
      {
        module: participant,
        find: 'if (this.#answerBatched(from, id)) return;\n    const promised = this.#ledger.find(id)?.promised;\n    if (promised !== undefined && promised.round > 0',
        replace: "const batch = this.#ledger.find(id);\n    if (batch !== undefined && batch.id.number !== number) return void this.#outbox.send(from, [Tag.accepted, node, incarnation, number, round, proposer]);\n    const promised = batch?.promised;\n    if (promised !== undefined && promised.round > 0",
      },
      {
        module: participant,
        find: 'if (this.#answerBatched(from, id)) return;\n    const promised = this.#ledger.find(id)?.promised;\n    if (promised !== undefined && compareBallots(promised, { round, proposer }) >= 0',
        replace: "const batch = this.#ledger.find(id);\n    if (batch !== undefined && batch.id.number !== number) return void this.#outbox.send(from, [Tag.promise, node, incarnation, number, round, proposer, Vote.none, 0, 0, 0, -1, '', UNDECIDED, null]);\n    const promised = batch?.promised;\n    if (promised !== undefined && compareBallots(promised, { round, proposer }) >= 0",
      },
    ],
  },
  {
    name: 'parts-not-found',
    wrong: 'A replica finds a batch under the number that it goes by alone, and knows nothing of the others.',
    patches: [{ module: ledger, find: 'if (known === undefined) life.records.set(number, batch);', replace: 'void known;' }],
  },
  {
    name: 'votes-past-promised-part',
    wrong: 'A replica votes OK on a batch after it has promised a recoverer of one of its parts never to have a vote.',
    patches: [{ module: participant, find: '      if (this.#ledger.find({ node, incarnation, number: other }) !== undefined) return this.#voteNo(from, id, Vote.superseded, 0);\n', replace: '' }],
  },
  {
    name: 'part-not-retained',
    wrong: 'Of a batch only the outcome of the transaction that it goes by is retained, so a client that asks late for another one is told that it was aborted.',
    patches: [{ module: ledger, find: '    for (const number of body.others) this.#retained.add({ ...id, number }, timestamp, this.#nowMs());\n', replace: '' }],
  },
  {
    name: 'batch-forgets-its-parts',
    wrong: 'The outcome of a batch that is journalled again before its segment goes does not name the parts, so a restart brings it back without them.',
    patches: [{ module: ledger, find: 'return [others.length === 0 ?', replace: 'return [others.length >= 0 ?' }],
  },
  {
    name: 'parts-gone-with-the-vote',
    wrong: 'A restart reads an outcome that names no parts, for the vote did, whose segment has gone, and does not look at the one that was journalled again instead of the vote.',
    patches: [{ module: ledger, find: '      return this.#gather(txn, record[6] ?? []);\n    }\n    txn.state', replace: '      return;\n    }\n    txn.state' }],
  },
  {
    name: 'batch-by-its-first-number',
    wrong: 'A batch goes by the number of its first transaction, so a replica may forget it while another one of it is not finished, as if that had never begun.',
    patches: [
      { module: batches, find: 'parts.reduce((highest, part) => (part.number > highest.number ? part : highest))', replace: 'parts[0] as Part' },
      {
        module: ledger,
        find: '      if (!isFinished(record.outcome === UNDECIDED ? record.id.number : number)) continue;\n      life.records.delete(number);\n      if (record.id.number !== number) continue;\n',
        replace: '      if (!isFinished(record.id.number)) continue;\n      life.records.delete(number);\n',
      },
    ],
  },
  {
    name: 'follows-and-reads-nothing-alone',
    wrong: 'What touches several groups follows others, too, and then travels alone: what it followed may come later, or never.',
    patches: [{ module: batches, find: 'return keys.length <= keysMax && this.#soleGroup(keys.map(this.#options.topology.partitionOf)) !== null;', replace: 'return keys.length <= keysMax;' }],
  },
  {
    name: 'follows-what-it-has-not-read',
    wrong: 'What has read by itself follows others as operations do, although it has not seen what they leave.',
    patches: [{ module: commits, find: 'mayFollow: body.readKeys.length === 0 && ', replace: 'mayFollow: ' }],
  },
  {
    name: 'follows-the-committed',
    wrong: 'An operation that follows others in a batch is applied to the committed value, not to what they leave.',
    patches: [{ module: commits, find: '(key) => this.#batches.left(key, attempt.protocolNumber) ?? own[', replace: '(key) => own[' }],
  },
  {
    name: 'newer-of-two-reads-counts',
    wrong: 'Of two parts that have read different versions of a key, the newer one has to be current, and not the older.',
    patches: [{ module: batches, find: 'Math.min(readVersions[i] as Version, reads.get(readKeys[i] as Key) ?? Number.POSITIVE_INFINITY)', replace: 'Math.max(readVersions[i] as Version, reads.get(readKeys[i] as Key) ?? 0)' }],
  },
];
