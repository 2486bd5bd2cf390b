/** A connection between two nodes that a test can cut: a relay in the test's own process. */
import { createServer, connect, type Server, type Socket } from 'node:net';

/** Forth goes what the side says that dialed. */
type Direction = 'forth' | 'back';

/** `cut`: connections break, and none can be made. `silent`: they stay, and nothing comes through. */
type State = 'whole' | 'cut' | 'silent';

/** A text may come in two pieces. */
const searchedBytesMax = 1_048_576;

export class CuttableLink {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #state: State = 'whole';
  readonly #muted = new Set<Direction>();
  /** What goes forth up to and with this text goes; nothing behind it. */
  #lastWords: string | null = null;

  static async open(port: number, targetPort: number): Promise<CuttableLink> {
    const link = new CuttableLink(port, targetPort);
    await new Promise<void>((resolve, reject) => {
      link.#server.once('error', reject);
      link.#server.listen(port, '127.0.0.1', resolve);
    });
    return link;
  }

  private constructor(port: number, targetPort: number) {
    this.port = port;
    this.#server = createServer((near) => {
      if (this.#state !== 'whole') return near.destroy();
      const far = connect(targetPort, '127.0.0.1');
      const pair = [near, far] as const;
      this.#pairs.add(pair);
      let heard = '';
      for (const [from, to, direction] of [[near, far, 'forth'], [far, near, 'back']] as const) {
        from.on('data', (bytes) => {
          if (this.#state !== 'silent' && !this.#muted.has(direction)) to.write(bytes);
          if (direction === 'back' || this.#lastWords === null) return;
          heard = (heard + bytes.toString('latin1')).slice(-searchedBytesMax);
          if (heard.includes(this.#lastWords)) this.mute('forth');
        });
        from.on('error', () => to.destroy());
        from.on('close', () => {
          this.#pairs.delete(pair);
          to.destroy();
        });
      }
      return undefined;
    });
  }

  cut(): void {
    this.#state = 'cut';
    this.#breakAll();
  }

  silence(): void {
    this.#state = 'silent';
  }

  /** What is said in that direction is lost; the other side goes on saying what it has to say. */
  mute(direction: Direction): void {
    this.#muted.add(direction);
  }

  /** Loses what is said forth after the message that has this text in it. */
  muteAfter(text: string): void {
    this.#lastWords = text;
  }

  /** What was silent has lost a part of its stream, so it is broken. */
  heal(): void {
    if (this.#state === 'silent' || this.#muted.size > 0) this.#breakAll();
    this.#state = 'whole';
    this.#muted.clear();
    this.#lastWords = null;
  }

  close(): void {
    this.#server.close();
    this.#breakAll();
  }

  #breakAll(): void {
    for (const [near, far] of this.#pairs) {
      near.destroy();
      far.destroy();
    }
  }
}
