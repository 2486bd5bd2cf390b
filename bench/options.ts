/** Parsers of the benchmarks' options. What they refuse is said in a line, and ends the program with 64, as EX_USAGE of sysexits.h. */
import { type Command, CommanderError, InvalidArgumentError } from 'commander';

const usageExitCode = 64;

export function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isInteger(value) || value < min || value > max) throw new InvalidArgumentError(`A whole number from ${min} to ${max} expected.`);
    return value;
  };
}

/** Several, with commas between them. */
export function wholes(min: number, max: number): (text: string) => readonly number[] {
  return (text) => text.split(',').map(whole(min, max));
}

/** One of these words. */
export function word<W extends string>(allowed: readonly W[]): (text: string) => W {
  return (text) => {
    const found = allowed.find((each) => each === text);
    if (found === undefined) throw new InvalidArgumentError(`One of ${allowed.join(', ')} expected.`);
    return found;
  };
}

/** Several, with commas between them. */
export function words<W extends string>(allowed: readonly W[]): (text: string) => readonly W[] {
  return (text) => text.split(',').map(word(allowed));
}

/** Does what the command line says. The program's exit code is what the command resolves to, by way of `process.exitCode`. */
export async function runProgram(program: Command): Promise<void> {
  // Also for subcommands: each has its own say in how it ends.
  for (const command of [program, ...program.commands]) command.exitOverride().helpOption('-h, --help', 'show help').showHelpAfterError();
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : usageExitCode;
  }
}
