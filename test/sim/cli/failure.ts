/** A failing run, told so that somebody can go on from there. */
import { classesInWords, injectionInWords, shapeInWords } from '../plan/words.ts';
import type { Plan } from '../plan/plan.ts';

const failuresShownMax = 10;
/** Of one failure: how it begins, and how it ends, for a livelock is told by its last steps. */
const linesOfFailure = { first: 8, last: 32 } as const;
const injectionsShownMax = 40;

export function failureInWords(seed: string, failures: readonly string[], plan: Plan | null, flags: string): string[] {
  const shown = failures.slice(0, failuresShownMax).flatMap((failure) => shortened(failure.split('\n')).map((line, i) => `${i === 0 ? '  ' : '    '}${line}`));
  const hidden = failures.length - failuresShownMax;
  return [
    `seed ${seed} FAILED${plan === null ? '' : `: ${shapeInWords(plan)}`}`,
    ...shown,
    ...(hidden > 0 ? [`  and ${hidden} more`] : []),
    ...(plan === null ? [] : faultsInWords(plan)),
    `the whole story:    ${replayOf(seed, flags)} --trace`,
    `the smallest plan:  ${replayOf(seed, flags)} --shrink`,
  ];
}

/** The command that runs this seed again as it was run. */
export function replayOf(seed: string, flags: string): string {
  return `npm run sim -- --seed ${seed}${flags}`;
}

function shortened(lines: readonly string[]): readonly string[] {
  const hidden = lines.length - linesOfFailure.first - linesOfFailure.last;
  return hidden <= 1 ? lines : [...lines.slice(0, linesOfFailure.first), `... ${hidden} lines ...`, ...lines.slice(-linesOfFailure.last)];
}

function faultsInWords(plan: Plan): string[] {
  if (plan.injections.length === 0) return ['  without faults'];
  const hidden = plan.injections.length - injectionsShownMax;
  return [
    `  faults: ${classesInWords(plan)}`,
    ...plan.injections.slice(0, injectionsShownMax).map((injection) => `    ${injectionInWords(injection)}`),
    ...(hidden > 0 ? [`    and ${hidden} more`] : []),
  ];
}
