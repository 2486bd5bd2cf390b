/** A connection between two nodes that a test can cut: a relay in the test's own process. */
import { createServer, connect, type Server, type Socket } from 'node:net';

/** `cut`: connections break, and none can be made. `silent`: they stay, and nothing comes through. */
type State = 'whole' | 'cut' | 'silent';

export class CuttableLink {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #state: State = 'whole';

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
      for (const [from, to] of [[near, far], [far, near]] as const) {
        from.on('data', (bytes) => {
          if (this.#state !== 'silent') to.write(bytes);
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

  /** What was silent has lost a part of its stream, so it is broken. */
  heal(): void {
    if (this.#state === 'silent') this.#breakAll();
    this.#state = 'whole';
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
