/** Mistakes about batches, to be planted: in what is said and remembered of its parts. */
import { decodeBody, encodeBody } from '../../../client/wire/codec.ts';
import { ABORT, formatTxnId, Tag, type Message } from '../../../client/wire/messages.ts';
import { Kind } from '../../../node/store/records.ts';
import type { Ledger } from '../../../node/txn/ledger.ts';
import { newRecord } from '../../../node/txn/record.ts';
import type { Mistake } from './mistake.ts';

export const batchMistakes = {
  'parts-not-named': { protocol: 'dtp', says: 'does not tell the replicas which transactions a batch is', utters: withoutOthers },
  'part-not-answered': {
    protocol: 'dtp', says: 'has a record of a batch, and no answer for who recovers a part of it',
    utters: (message) => (message[0] === Tag.batched ? [Tag.rejected, message[1], message[2], message[3], 0, message[1], 1, message[1]] : message),
  },
  'part-recovered-alone': {
    protocol: 'dtp', says: 'takes part in ballots on a part alone, as if it had no record of the batch',
    spoils: (ledger, hearing) => {
      const find = ledger.find.bind(ledger);
      ledger.find = (id) => {
        const record = find(id);
        const isBallot = hearing()?.[0] === Tag.recover || hearing()?.[0] === Tag.accept;
        return isBallot && record !== undefined && record.id.number !== id.number ? newRecord(id, record.segment, record.sinceMs) : record;
      };
    },
  },
  'votes-past-promised-part': {
    protocol: 'dtp', says: 'votes for a batch after it has promised never to vote for a part of it',
    spoils: (ledger, hearing) => {
      const find = ledger.find.bind(ledger);
      ledger.find = (id) => {
        const heard = hearing();
        return heard?.[0] === Tag.prepare && heard[3] !== id.number ? undefined : find(id);
      };
    },
  },
  'part-not-retained': { protocol: 'dtp', says: 'retains of a batch only the outcome of its own name', spoils: retainNoParts },
} as const satisfies Readonly<Record<string, Mistake>>;

function withoutOthers(message: Message): Message {
  if (message[0] !== Tag.prepare) return message;
  const [tag, node, incarnation, number, epoch, timestamp, protocol, body] = message;
  const [reads, writes] = decodeBody(body);
  return [tag, node, incarnation, number, epoch, timestamp, protocol, Uint8Array.from(encodeBody([reads, writes]))];
}

function retainNoParts(ledger: Ledger): void {
  const parts = new Set<string>();
  for (const way of ['enter', 'replay'] as const) {
    const take = ledger[way].bind(ledger);
    ledger[way] = (record) => {
      const body = record[0] === Kind.prepared ? record[7] : record[0] === Kind.outcome ? record[5] : null;
      if (body !== null) for (const number of ledger.parse(body).others) parts.add(`${record[1]}:${record[2]}:${number}`);
      take(record);
    };
  }
  const outcomeOfFinished = ledger.outcomeOfFinished.bind(ledger);
  ledger.outcomeOfFinished = (id) => (parts.has(formatTxnId(id)) ? ABORT : outcomeOfFinished(id));
}
