/** Options of a command, as node's own parser reads them; what is wrong with them is said in one line. */
import { parseArgs } from 'node:util';

/** One line for whoever typed it. */
export class UsageError extends Error {}

/** What an option takes, in the words of `parseArgs`. */
export type OptionTable = Readonly<Record<string, { readonly type: 'string' | 'boolean'; readonly multiple?: boolean; readonly default?: boolean }>>;

type ValuesOf<O extends OptionTable> = ReturnType<typeof parseArgs<{ args: string[]; options: O }>>['values'];

/** The values of the options. Throws UsageError. */
export function parseOptions<const O extends OptionTable>(words: readonly string[], options: O): ValuesOf<O> {
  try {
    return parseArgs({ args: [...words], options }).values;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const known = Object.keys(options).map((name) => `--${name}`).join(', ');
    const culprit = /'([^']*)'/.exec(message)?.[1];
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') throw new UsageError(`unknown option ${culprit ?? ''}; there are ${known}`);
    if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') throw new UsageError(`what is ${culprit ?? 'that'}? There are ${known}`);
    throw new UsageError(message.split('\n')[0]);
  }
}

export function wholeNumber(option: string, given: string | undefined, least: number, otherwise: number): number {
  if (given === undefined) return otherwise;
  const number = Number(given);
  if (!/^\d+$/.test(given) || !Number.isSafeInteger(number) || number < least) throw new UsageError(`--${option} takes a whole number from ${least} on, not ${given}`);
  return number;
}

/** The names in options that may be repeated and take several, separated by commas; undefined where there are none. */
export function namesIn(given: readonly string[] | undefined): string[] | undefined {
  return given?.flatMap((part) => part.split(',')).filter((name) => name !== '');
}

/** A list of names in lines of about this width. */
export function wrapped(words: readonly string[], width: number): string[] {
  const lines = [''];
  for (const word of words) {
    if (`${lines.at(-1)}${word}, `.length > width) lines.push('');
    lines[lines.length - 1] += `${word}, `;
  }
  return lines.map((line) => line.trimEnd());
}
