/** Listens to all that nodes say and are told, and holds it against the rules. */
import { decodeFrame } from '../../client/wire/codec.ts';
import { Placement } from '../../client/wire/placement.ts';
import type { View } from '../../client/wire/view.ts';
import { Hearsay, type Speaker } from './hearsay.ts';
import { Testimony } from './testimony.ts';
import { Hearing } from './testimony/hearing.ts';
import type { World } from './world.ts';

/** From now on each broken word of a node is a failure. */
export function listenTo(world: World, view: View, failures: string[]): void {
  const nodes = new Set(view.members.map(({ id }) => id));
  const testimony = new Testimony(failures);
  const hearsay = new Hearsay(failures, new Placement(view));
  const hearing = new Hearing(failures, view);
  const speakerAt = (node: string): Speaker => ({ node, process: world.host(node).process?.name ?? '', remembers: !world.host(node).disk.isSpoilt });
  world.network.onSent = (from, to, frame) => {
    const messages = decodeFrame(frame);
    const { process, disk } = world.host(from);
    const turnMs = process?.turnMs ?? world.nowMs;
    // What it is about to say where it was interrupted was so then.
    const isOfNow = turnMs === world.nowMs;
    hearing.said(world.nowMs, from, to, messages, !nodes.has(from) || (!disk.hasRotted && isOfNow));
    if (!nodes.has(from)) return;
    const speaker = speakerAt(from);
    if (!nodes.has(to)) return hearsay.answered(speaker, to, messages);
    testimony.said(turnMs, from, messages, speaker.remembers);
    hearsay.said(speaker, messages);
  };
  world.network.onReceived = (by, from, frame) => {
    if (!nodes.has(by)) return;
    const messages = decodeFrame(frame);
    hearing.received(world.nowMs, by, from, messages);
    if (nodes.has(from)) hearsay.heard(speakerAt(by), from, messages);
    else hearsay.asked(speakerAt(by), from, messages);
  };
}
