import { inspect as inspectInFull } from 'node:util';

/** Any value in a line short enough for an error message. */
export function inspect(value: unknown): string {
  return inspectInFull(value, { depth: 1, maxArrayLength: 8, maxStringLength: 80, breakLength: Infinity });
}
