/** Loaded into the process of a node before the node: tells its parent whenever the event loop stood still for long. */
import type { Stall } from './stalls.ts';

const stepMs = 5;
const worthTellingMs = 10;
let beforeMs = performance.now();

setInterval(() => {
  const nowMs = performance.now();
  const ms = nowMs - beforeMs - stepMs;
  beforeMs = nowMs;
  if (ms >= worthTellingMs) process.send?.({ event: 'stalled', atMs: performance.timeOrigin + nowMs, ms } satisfies Stall);
}, stepMs).unref();
