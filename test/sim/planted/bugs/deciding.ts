/** Mistakes in how a transaction is decided: by its coordinator, and by whoever recovers it. */
import type { PlantedBug } from '../bug.ts';

const rule = 'node/txn/protocols/dtp.ts';
const coordinator = 'node/txn/coordinator.ts';
const recovery = 'node/txn/recovery.ts';
const participant = 'node/txn/participant.ts';

export const decidingBugs: readonly PlantedBug[] = [
  {
    name: 'recovery-aborts',
    wrong: 'Recovery aborts although all answers are OK: the coordinator may have committed on these very votes.',
    patches: [{ module: rule, find: '  return timestamp;\n', replace: '  return ABORT;\n' }],
  },
  {
    name: 'fast-commit-by-majority',
    wrong: 'A majority of OK votes commits at once: another majority need not show them to a recoverer.',
    patches: [{ module: rule, find: 'groups.every(({ size, ok }) => ok === size)', replace: 'groups.every(({ majority, ok }) => ok >= majority)' }],
  },
  {
    name: 'fast-commit-at-different-timestamps',
    wrong: 'All voted OK, but at different timestamps: a recoverer that hears some of them decides another one.',
    patches: [{ module: rule, find: 'const unanimous = sameTimestamp && groups', replace: 'const unanimous = groups' }],
  },
  {
    name: 'fast-commit-after-proposing-abort',
    wrong: 'The coordinator has proposed to abort; then the missing OK votes arrive, and it commits.',
    patches: [{
      module: rule,
      find: 'if (proposed !== UNDECIDED) return',
      replace: 'if (proposed !== UNDECIDED && !unanimous) return',
    }],
  },
  {
    name: 'one-no-aborts',
    wrong: 'A single NO is taken for that of a majority: the OK votes of the others can be recovered into a commit.',
    patches: [{ module: rule, find: "if (no >= majority) return", replace: "if (no > 0) return" }],
  },
  {
    name: 'slow-commit-without-acceptors',
    wrong: 'The client is told that the transaction is committed when that is proposed, not when the acceptors have it.',
    patches: [{
      module: coordinator,
      find: '    running.proposedAtMs = this.#options.nowMs();\n',
      replace: '    running.proposedAtMs = this.#options.nowMs();\n    if (decision !== ABORT) running.start.onOutcome(decision, running.refusal);\n',
    }],
  },
  {
    name: 'recovery-ignores-accepted',
    wrong: 'Recovery looks at the votes alone, not at what acceptors have accepted from the coordinator or another recoverer.',
    patches: [{ module: rule, find: 'if (accepted !== null) return accepted;', replace: '' }],
  },
  {
    name: 'recovery-takes-oldest-accepted',
    wrong: 'Of several accepted values recovery takes that of the lowest ballot.',
    patches: [{ module: 'node/txn/protocols/protocol.ts', find: 'compareBallots(accepted, highest) > 0', replace: 'compareBallots(accepted, highest) < 0' }],
  },
  {
    name: 'recovery-at-smallest-timestamp',
    wrong: 'Recovery commits at the smallest of the timestamps voted: below what some replica already holds or told the client.',
    patches: [{
      module: rule,
      find: 'timestamp = Math.max(timestamp, witness.timestamp);',
      replace: 'timestamp = timestamp === 0 ? witness.timestamp : Math.min(timestamp, witness.timestamp);',
    }],
  },
  {
    name: 'recovery-at-coordinators-timestamp',
    wrong: 'Replicas tell a recoverer the timestamp that the coordinator proposed, not the one that they voted: below what some replica already holds.',
    patches: [{
      module: participant,
      find: 'this.#ledger.enter([Kind.prepared, node, incarnation, number, epoch, protocol, timestamp, body]);',
      replace: 'this.#ledger.enter([Kind.prepared, node, incarnation, number, epoch, protocol, proposed, body]);',
    }],
  },
  {
    name: 'no-not-remembered',
    wrong: 'A replica that has voted NO, or not at all, says OK when a recoverer asks.',
    patches: [{
      module: participant,
      find: 'const { timestamp, epoch, protocol, accepted, body } = record;',
      replace: 'const { epoch, protocol, accepted, body } = record;\n    const timestamp = record.timestamp === 0 ? this.#clock.last : record.timestamp;',
    }],
  },
  {
    name: 'recovery-asks-home-group-alone',
    wrong: 'Recovery commits on the votes of the home group: another group may have refused, and the coordinator have aborted.',
    patches: [
      { module: rule, find: 'witnesses: (_coordinator, groups) => groups,', replace: 'witnesses: (_coordinator, groups) => groups.slice(0, 1),' },
      { module: rule, find: 'for (const { members, majority } of groups) {', replace: 'for (const { members, majority } of groups.slice(0, 1)) {' },
    ],
  },
  {
    name: 'recovery-without-majority',
    wrong: 'Recovery decides when one acceptor has accepted its proposal.',
    patches: [{ module: recovery, find: 'if (isQuorum(attempt.accepting, (member) => attempt.acceptedBy.has(member))) this.#decide', replace: 'if (attempt.acceptedBy.size >= 1) this.#decide' }],
  },
  {
    name: 'vote-after-promise',
    wrong: 'A replica votes OK after it has promised a recoverer to vote no more.',
    patches: [{ module: participant, find: '(known !== undefined && known.promised.round > 0) || incarnation < floor', replace: 'incarnation < floor' }],
  },
  {
    name: 'accepts-below-promise',
    wrong: 'A replica accepts a proposal although it has promised a higher ballot.',
    patches: [{ module: participant, find: 'if (promised !== undefined && promised.round > 0 && compareBallots(', replace: 'if (promised !== undefined && promised.round < 0 && compareBallots(' }],
  },
  {
    name: 'promise-taken-back',
    wrong: 'A replica promises a ballot below one that it has promised, and goes by that from then on.',
    patches: [
      { module: participant, find: 'if (promised !== undefined && compareBallots(promised, { round, proposer }) >= 0) {', replace: 'if (promised !== undefined && promised.round < 0) {' },
      { module: 'node/txn/ledger.ts', find: 'if (compareBallots(ballot, txn.promised) > 0) txn.promised = ballot;', replace: 'txn.promised = ballot;' },
    ],
  },
  {
    name: 'orphans-presumed-aborted',
    wrong: 'A replica whose locks are held for long aborts the transaction by itself instead of recovering it.',
    patches: [{
      module: 'node/txn/orphans.ts',
      find: '      recovery.start(\n',
      replace: '      ledger.enter([4, record.id.node, record.id.incarnation, record.id.number, 0, null]);\n      ((..._instead: unknown[]) => {})(\n',
    }],
  },
  {
    name: 'client-repeats-unknown-commit',
    wrong: 'A client whose session broke under its commit sends it again, as if it had been aborted.',
    patches: [{ module: 'client/commit.ts', find: 'if (this.inFlight) this.#resolve();\n    else this.#route(null);', replace: 'this.#route(null);' }],
  },
  {
    name: 'client-repeats-unknown-operations',
    wrong: 'The same, but only for server-side operations: an increment counts twice.',
    patches: [{
      module: 'client/commit.ts',
      find: 'if (this.inFlight) this.#resolve();\n    else this.#route(null);',
      replace: 'if (this.inFlight && this.#order.operations === null) this.#resolve();\n    else this.#route(null);',
    }],
  },
];
