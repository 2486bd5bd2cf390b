/** A failing run, told so that somebody can go on from there. */
import { classesInWords, injectionInWords, shapeInWords } from '../plan/words.ts';
import type { Plan } from '../plan/plan.ts';

const failuresShownMax = 10;
const linesOfFailureMax = 40;
const injectionsShownMax = 40;

export function failureInWords(seed: string, failures: readonly string[], plan: Plan | null, flags: string): string[] {
  const shown = failures.slice(0, failuresShownMax).flatMap((failure) => failure.split('\n').slice(0, linesOfFailureMax).map((line, i) => `${i === 0 ? '  ' : '    '}${line}`));
  const hidden = failures.length - failuresShownMax;
  return [
    `seed ${seed} FAILED${plan === null ? '' : `: ${shapeInWords(plan)}`}`,
    ...shown,
    ...(hidden > 0 ? [`  and ${hidden} more`] : []),
    ...(plan === null ? [] : faultsInWords(plan)),
    `the whole story:    npm run sim -- --seed ${seed}${flags} --trace`,
    `the smallest plan:  npm run sim -- --seed ${seed}${flags} --shrink`,
  ];
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
