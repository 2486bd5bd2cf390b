/**
 * Waits for a message on the wire: some states last for a microsecond, and a fault that shall meet them must be started by
 * what leads into them. Frames are looked into only while somebody waits.
 */
import { decodeFrame } from '../../../client/wire/codec.ts';
import { tagNames, type Message } from '../../../client/wire/messages.ts';
import type { Network } from '../network.ts';

export type Direction = 'send' | 'receive';

interface Wait {
  readonly host: string;
  readonly moment: string;
  readonly accepts: (message: Message, remoteHost: string) => boolean;
  readonly action: (remoteHost: string, message: Message) => void;
}

export class FrameWatch {
  readonly #network: Network;
  readonly #waits = new Set<Wait>();

  constructor(network: Network) {
    this.#network = network;
  }

  /**
   * Once, when the host is about to send, or to handle, a message of that name. `moment` is as in an injection. Gives
   * back what ends the wait.
   */
  once(host: string, moment: string, action: Wait['action'], accepts: Wait['accepts'] = () => true): () => void {
    const wait = { host, moment, accepts, action };
    this.#waits.add(wait);
    this.#network.onFrame = this.#onFrame;
    return () => {
      this.#waits.delete(wait);
      if (this.#waits.size === 0) this.#network.onFrame = null;
    };
  }

  readonly #onFrame = (direction: Direction, host: string, remoteHost: string, frame: Uint8Array): void => {
    const interested = [...this.#waits].filter((wait) => wait.host === host && wait.moment.startsWith(direction));
    if (interested.length === 0) return;
    const messages = decodeFrame(frame);
    for (const wait of interested) {
      const awaited = messages.find((message) => wait.moment === `${direction} ${tagNames.get(message[0])}` && wait.accepts(message, remoteHost));
      if (awaited === undefined || !this.#waits.delete(wait)) continue;
      wait.action(remoteHost, awaited);
    }
    if (this.#waits.size === 0) this.#network.onFrame = null;
  };
}
