/** How the bytes in a trace are told: frames as messages, writes to a log as the records of a journal. */
import { blockInWords } from './journal.ts';
import { frameInWords } from './messages.ts';

/** Null: not worth a line. */
export function printBytes(bytes: Uint8Array, what: string): string | null {
  try {
    return what === 'wrote' ? blockInWords(Buffer.from(bytes)) : frameInWords(bytes);
  } catch {
    return `${bytes.length} bytes`;
  }
}
