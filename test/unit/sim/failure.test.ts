import { describe, expect, it } from 'vitest';
import { failureInWords } from '../../sim/cli/failure.ts';
import { drawPlan } from '../../sim/plan/plan.ts';

describe('a failing seed is told', () => {
  const plan = drawPlan({ seed: 42, workload: 'bank', faults: ['crash'] });
  const flags = ' --workload bank --fault crash';

  it('with what is wrong, what it was, what went wrong in it, and how to go on', () => {
    const lines = failureInWords('42', ['lost-transfer: 7 was acknowledged'], plan, flags);
    expect(lines[0]).toMatch(/^seed 42 FAILED: bank on \d nodes?, /);
    expect(lines).toContain('  lost-transfer: 7 was acknowledged');
    expect(lines.filter((line) => / crash: n\d/.test(line))).toHaveLength(Math.min(40, plan.injections.length));
    expect(lines.slice(-2)).toEqual(['the whole story:    npm run sim -- --seed 42 --workload bank --fault crash --trace', 'the smallest plan:  npm run sim -- --seed 42 --workload bank --fault crash --shrink']);
  });

  it('in so many lines as can be read, the last steps of a livelock among them', () => {
    const story = Array.from({ length: 200 }, (_, i) => `step ${i}`).join('\n');
    const lines = failureInWords('42', Array.from({ length: 30 }, () => `livelock: no end; the last ones:\n${story}`), plan, flags);
    expect(lines.length).toBeLessThan(500);
    expect(lines[1]).toBe('  livelock: no end; the last ones:');
    expect(lines).toContain('    step 199');
    expect(lines).toContain('  and 20 more');
  });

  it('also when nothing came back of it', () => {
    expect(failureInWords('x', ['the process that ran it ended with SIGKILL'], null, '')[0]).toBe('seed x FAILED');
  });
});
