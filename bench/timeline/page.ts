/** Timelines as pictures and a table: throughput and 99th percentile of each tenth of a second, the faults marked. */
import { decode, percentileMs } from '../load/histogram.ts';
import { slotMs } from '../load/recorder.ts';
import { colourOf, type Axis } from '../report/chart.ts';
import type { Page, Section } from '../report/page.ts';
import { milliseconds, number } from '../report/table.ts';
import { targets } from '../targets/registry.ts';
import { describeMachine, type Machine } from '../usage.ts';
import type { Timeline } from './run.ts';

export const faultHead = ['target', 'member', 'fault', 'pause that clients saw', 'errors', 'p99 before', 'p99 while away', 'calls/s before', 'calls/s while away', 'back after', 'then until it agrees with all'] as const;

export function faultRows({ target, faults }: Timeline): string[][] {
  return faults.map(({ member, fault, pauseMs, errors, calmP99Ms, awayP99Ms, calmPerSecond, awayPerSecond, atMs, backAtMs, agreedAfterMs }) => [
    targets[target].title, member, fault, milliseconds(pauseMs), number(errors), milliseconds(calmP99Ms), milliseconds(awayP99Ms), number(calmPerSecond), number(awayPerSecond), milliseconds(backAtMs - atMs), agreedAfterMs === null ? '?' : milliseconds(agreedAfterMs),
  ]);
}

export function timelinePage(timelines: readonly Timeline[], machine: Machine, load: string): Page {
  return {
    title: 'What clients see when a member is killed or frozen',
    introduction: [describeMachine(machine), load, ...timelines.flatMap(({ wrong }) => wrong.slice(0, 5))],
    sections: timelines.map(sectionOf),
  };
}

function sectionOf(timeline: Timeline): Section {
  const { target, slots, faults } = timeline;
  const [first, last] = [slots[0]?.number ?? 0, slots.at(-1)?.number ?? 0];
  const secondsAt = (number: number): number => ((number - first) * slotMs) / 1_000;
  const marks = faults.flatMap(({ atMs, backAtMs, fault, member }) => [{ at: secondsAt(atMs / slotMs), text: `${member} ${fault}` }, { at: secondsAt(backAtMs / slotMs), text: '' }]);
  const byNumber = new Map(slots.map((slot) => [slot.number, slot]));
  const all = Array.from({ length: last - first + 1 }, (_, i) => byNumber.get(first + i));
  const time: Axis = { name: 's', scale: 'value' };
  const line = (values: readonly number[]) => [{ name: targets[target].title, colour: colourOf(0), points: values.map((value, i) => [secondsAt(first + i), value] as const) }];
  return {
    title: targets[target].title,
    charts: [
      { wide: true, title: 'Calls that succeeded, a second', subtitle: 'by tenths of a second', x: time, y: { name: '', scale: 'value' }, marks, lines: line(all.map((slot) => ((slot?.calls ?? 0) * 1_000) / slotMs)) },
      { wide: true, title: '99th percentile', subtitle: 'of the calls that ended in a tenth of a second, from when they were due', x: time, y: { name: 'ms', scale: 'log' }, marks, lines: line(all.map((slot) => (slot === undefined ? Number.NaN : percentileMs(decode(slot.histogram), 99)))) },
    ],
    rows: [[...faultHead], ...faultRows(timeline)],
  };
}
