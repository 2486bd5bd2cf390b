/** Command lines of benchmarks. What is wrong in one is said in a line, and ends the program with 64, as EX_USAGE of sysexits.h. */
import { parseArgs } from 'node:util';

const usageExitCode = 64;

export class Arguments {
  readonly #values: Readonly<Record<string, string | boolean | undefined>>;
  readonly #usage: string;

  /** `options`: those with a value, and those without. */
  constructor(usage: string, options: { readonly values: readonly string[]; readonly flags?: readonly string[] }) {
    this.#usage = usage;
    const described = [...options.values.map((name) => [name, { type: 'string' }] as const), ...['help', ...(options.flags ?? [])].map((name) => [name, { type: 'boolean' }] as const)];
    try {
      this.#values = parseArgs({ options: Object.fromEntries(described) }).values as Record<string, string | boolean>;
    } catch (error) {
      this.#fail((error as Error).message);
    }
    if (this.#values['help'] !== true) return;
    process.stdout.write(usage);
    process.exit(0);
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | undefined {
    return this.#values[name] as string | undefined;
  }

  whole(name: string, otherwise: number, min: number, max: number): number {
    const [value, ...more] = this.wholes(name, [otherwise], min, max);
    if (value === undefined || more.length > 0) this.#fail(`--${name}: one number expected`);
    return value;
  }

  /** Several, with commas between them. */
  wholes(name: string, otherwise: readonly number[], min: number, max: number): readonly number[] {
    return this.text(name)?.split(',').map((word) => {
      const value = Number(word);
      if (word.trim() === '' || !Number.isInteger(value) || value < min || value > max) this.#fail(`--${name}: a whole number from ${min} to ${max} expected, not "${word}"`);
      return value;
    }) ?? otherwise;
  }

  /** Several of these words. */
  words<W extends string>(name: string, allowed: readonly W[], otherwise: readonly W[]): readonly W[] {
    return this.text(name)?.split(',').map((word) => allowed.find((each) => each === word) ?? this.#fail(`--${name}: one of ${allowed.join(', ')} expected, not "${word}"`)) ?? otherwise;
  }

  #fail(what: string): never {
    process.stderr.write(`${what}\n\n${this.#usage}`);
    process.exit(usageExitCode);
  }
}
