/**
 * `npm run bench -- floor`: what the machine itself allows, whatever runs on it. Nobody who flushes each vote commits faster one
 * after another than the disk flushes, and nobody answers faster than a packet goes there and back.
 */
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { WebSocket } from 'ws';
import { latencies, percentileMs, record } from '../load/histogram.ts';
import { whole } from '../options.ts';
import { writeFiles } from '../report/files.ts';
import { number, table } from '../report/table.ts';
import { describeMachine, machine } from '../usage.ts';

export interface Floor {
  readonly what: string;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const recordBytes = 256;
const burst = 1_000;

/** One after another for so long. `each`: how many things one call does. */
async function timed(what: string, seconds: number, each: number, call: () => Promise<void>): Promise<Floor> {
  const histogram = latencies();
  for (let i = 0; i < 10; i++) await call();
  const startedAtMs = performance.now();
  while (performance.now() - startedAtMs < seconds * 1_000) {
    const begunAtMs = performance.now();
    await call();
    record(histogram, performance.now() - begunAtMs);
  }
  return { what, perSecond: (histogram.totalCount * each * 1_000) / (performance.now() - startedAtMs), p50Ms: percentileMs(histogram, 50), p99Ms: percentileMs(histogram, 99) };
}

async function measureDisk(seconds: number): Promise<Floor[]> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'dtp-floor-'));
  const file = await open(path.join(directory, 'file'), 'w');
  const size = 16 * 2 ** 20;
  // Written once before: flushes of what grows a file are dearer.
  await file.write(Buffer.alloc(size));
  await file.sync();
  let at = 0;
  const flushed = async (bytes: Buffer): Promise<void> => {
    at = at + bytes.length > size ? 0 : at;
    await file.write(bytes, 0, bytes.length, at);
    at += bytes.length;
    await file.datasync();
  };
  try {
    const results: Floor[] = [];
    for (const records of [1, 64, 1_000]) {
      const bytes = Buffer.alloc(records * recordBytes, 1);
      results.push(await timed(`records of ${recordBytes} bytes, written and flushed, ${records === 1 ? 'one by one' : `${records} at a time`}`, seconds, records, () => flushed(bytes)));
    }
    return results;
  } finally {
    await file.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measureNetwork(seconds: number): Promise<Floor[]> {
  const child = fork(fileURLToPath(new URL('./echo.js', import.meta.url)));
  try {
    const ports = await new Promise<{ readonly tcp: number; readonly frames: number }>((resolve, reject) => {
      child.once('message', resolve);
      child.once('exit', () => reject(new Error('the other process ended')));
    });
    const socket = connect(ports.tcp, '127.0.0.1').setNoDelay(true);
    await once(socket, 'connect');
    const roundTrip = await timed('round trips of 64 bytes over loopback TCP, between two processes', seconds, 1, () => echoed(socket, Buffer.alloc(64)));
    socket.destroy();
    const frames = new WebSocket(`ws://127.0.0.1:${ports.frames}`, { perMessageDeflate: false });
    await new Promise((opened) => frames.once('open', opened));
    const small = Buffer.alloc(recordBytes);
    const rate = await timed(`WebSocket frames of ${recordBytes} bytes, ${burst} in a burst, between two processes`, seconds, burst, () => new Promise((resolve) => {
      frames.once('message', () => resolve());
      for (let i = 1; i < burst; i++) frames.send(small);
      frames.send(Buffer.alloc(8));
    }));
    frames.terminate();
    return [roundTrip, rate];
  } finally {
    child.disconnect();
  }
}

function once(socket: Socket, event: 'connect' | 'data'): Promise<void> {
  return new Promise((resolve) => void socket.once(event, () => resolve()));
}

async function echoed(socket: Socket, bytes: Buffer): Promise<void> {
  const back = once(socket, 'data');
  socket.write(bytes);
  await back;
}

export function registerFloor(program: Command): void {
  program.command('floor')
    .description('what the machine allows: flushes, round trips, frames a second')
    .option('--seconds <n>', 'for each', whole(1, 600), 3)
    .option('--out <directory>', 'where floor.json is written', 'bench-results')
    .action(async ({ seconds, out }: { readonly seconds: number; readonly out: string }) => {
      const here = machine();
      process.stdout.write(`On ${describeMachine(here)}. Measuring ...\n`);
      const results = [...(await measureDisk(seconds)), ...(await measureNetwork(seconds))];
      process.stdout.write(`\n${table([['', 'a second', 'p50', 'p99'], ...results.map(({ what, perSecond, p50Ms, p99Ms }) => [what, number(perSecond), `${number(p50Ms * 1_000)} µs`, `${number(p99Ms * 1_000)} µs`])])}\n\n`);
      process.stdout.write(`Written: ${writeFiles(out, 'floor', { format: 1, kind: 'floor', machine: here, settings: { seconds }, results }, null).join(', ')}\n`);
    });
}
