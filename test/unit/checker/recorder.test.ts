import { describe, expect, it } from 'vitest';
import { checkAppend } from '../../sim/checker/append.ts';
import { type ListOperation, MalformedHistory } from '../../sim/checker/history.ts';
import { Recorder } from '../../sim/checker/recorder.ts';
import { appendHistory } from './generate.ts';
import { append, list } from './notation.ts';

describe('recorder', () => {
  it('keeps what was called, when, and what came back', () => {
    let now = 0;
    const recorder = new Recorder<ListOperation>(() => now);
    const first = recorder.begin(7, [append('x', 1)]);
    now = 5;
    recorder.ok(first);
    now = 6;
    const second = recorder.begin(7);
    now = 8;
    recorder.fail(second, [list('x', 1)]);
    expect(recorder.history()).toEqual([
      { id: 0, process: 7, invokedAt: 0, completedAt: 5, outcome: 'ok', operations: [append('x', 1)] },
      { id: 1, process: 7, invokedAt: 6, completedAt: 8, outcome: 'failed', operations: [list('x', 1)] },
    ]);
  });

  it('counts as unknown what was given up, and what is still open', () => {
    const recorder = new Recorder<ListOperation>(() => 0);
    recorder.unknown(recorder.begin(0, [append('x', 1)]));
    const open = recorder.begin(1, [append('x', 2)]);
    recorder.plan(open, [append('x', 3)]);
    const [given, left] = recorder.history();
    expect(given).toMatchObject({ outcome: 'unknown', operations: [append('x', 1)] });
    expect(left).toMatchObject({ outcome: 'unknown', completedAt: null, operations: [append('x', 3)] });
  });

  it('orders the events of one instant as they were recorded, also beside times since 1970', () => {
    for (const instant of [0, 1e12]) {
      const recorder = new Recorder<ListOperation>(() => instant);
      recorder.ok(recorder.begin(0, [append('x', 1)]));
      recorder.ok(recorder.begin(0, [list('x')]));
      recorder.ok(recorder.begin(0, [list('x', 1)]));
      expect(checkAppend(recorder.history()).anomalies.map(({ name }) => name)).toEqual(['G-single-realtime']);
    }
  });

  it('does not follow a clock that goes back', () => {
    const times = [10, 11, 3, 4];
    const recorder = new Recorder<ListOperation>(() => times.shift()!);
    recorder.ok(recorder.begin(0));
    recorder.ok(recorder.begin(0));
    const [first, second] = recorder.history();
    expect(second!.invokedAt).toBeGreaterThan(first!.completedAt!);
    expect(second!.completedAt!).toBeGreaterThan(second!.invokedAt);
  });

  it('refuses a second outcome, and one of what was never begun', () => {
    const recorder = new Recorder(() => 0);
    const id = recorder.begin(0);
    recorder.ok(id);
    expect(() => recorder.fail(id)).toThrow(new MalformedHistory('T0 was already recorded as ok'));
    expect(() => recorder.ok(5)).toThrow(new MalformedHistory('T5 was never begun'));
  });
});

describe('history', () => {
  it('is judged the same after a way through JSON', () => {
    const history = appendHistory({ seed: 3, count: 200, processes: 5, keys: 3, unknownChance: 0.2 });
    const broken = history.map((transaction) => ({ ...transaction, operations: transaction.operations.slice(1) }));
    const again: typeof broken = JSON.parse(JSON.stringify(broken));
    expect(again).toEqual(broken);
    expect(checkAppend(again)).toEqual(checkAppend(broken));
    expect(checkAppend(again).outcome).toBe('invalid');
  });
});
