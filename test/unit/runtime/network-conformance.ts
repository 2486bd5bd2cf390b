import { expect, it } from 'vitest';
import type { Connection } from '../../../client/wire/environment.ts';
import type { Listener, Runtime } from '../../../node/runtime/runtime.ts';
import type { Current } from './conformance.ts';

/** One end of a connection, with all that happened to it. */
interface End {
  readonly connection: Connection;
  readonly events: string[];
  readonly frames: Uint8Array[];
}

export function networkConformance(bench: Current): void {
  it('carries frames of all sizes both ways, in order', async () => {
    const { client, server } = await joined();
    const sizes = [0, 1, 125, 126, 65_535, 65_536, 300_000, 3, ...Array.from({ length: 100 }, (_, i) => i)];
    for (const [i, size] of sizes.entries()) {
      client.connection.send(pattern(size, i));
      server.connection.send(pattern(size, i + 1));
    }
    await bench().until(() => server.frames.length === sizes.length && client.frames.length === sizes.length);
    for (const [i, size] of sizes.entries()) {
      expect(pattern(size, i).equals(server.frames[i]!)).toBe(true);
      expect(pattern(size, i + 1).equals(client.frames[i]!)).toBe(true);
    }
  });

  it('opens an accepted connection in a turn of its own, before its first frame', async () => {
    const { server } = await joined((connection) => connection.send(pattern(10, 1)));
    await bench().until(() => server.frames.length === 1);
    expect(server.events).toEqual(['accepted', 'open', 'frame']);
  });

  it('keeps frames that were sent before the connection was open', async () => {
    const b = bench().start('b');
    const { url, accepted } = await listening(b);
    const client = watched(bench().start('a').dial(url));
    client.connection.send(pattern(3, 1));
    client.connection.send(pattern(4, 2));
    expect(client.connection.bufferedBytes).toBe(7);
    await bench().until(() => accepted[0]?.frames.length === 2);
    expect(accepted[0]!.frames.map((frame) => frame.length)).toEqual([3, 4]);
  });

  it('runs what is deferred after the frames that have arrived already', async () => {
    const b = bench().start('b');
    const { server, client } = await joined(undefined, b);
    const seen: string[] = [];
    server.connection.onFrame = (frame) => {
      if (seen.length === 0) b.defer(() => seen.push('deferred'));
      seen.push(`frame ${frame.length}`);
    };
    for (const size of [1, 2, 3]) client.connection.send(pattern(size, 0));
    await bench().until(() => seen.length === 4);
    expect(seen).toEqual(['frame 1', 'frame 2', 'frame 3', 'deferred']);
  });

  it('reports a port where nobody listens', async () => {
    bench().start('b');
    const client = watched(bench().start('a').dial(await bench().address('b')));
    expect(client.events).toEqual([]);
    await bench().until(() => client.events.length > 0);
    expect(client.events).toHaveLength(1);
    expect(client.events[0]).toMatch(/^closed: .*ECONNREFUSED/);
  });

  it('reports an address that is none', async () => {
    const client = watched(bench().start('a').dial('nowhere at all'));
    client.connection.send(pattern(1, 1));
    expect(client.events).toEqual([]);
    await bench().until(() => client.events.length > 0);
    expect(client.events).toHaveLength(1);
    expect(client.events[0]).toMatch(/^closed: ./);
  });

  it('closes after what was sent has arrived, and gives the reason', async () => {
    const { client, server } = await joined();
    for (let i = 0; i < 40; i++) client.connection.send(pattern(64_000, i));
    client.connection.close('all said');
    client.connection.send(pattern(1, 1));
    await bothClosed(client, server);
    expect(server.frames).toHaveLength(40);
    expect(server.events.at(-1)).toMatch(/^closed: .*all said/);
    expect(client.events.at(-1)).toBe('closed: all said');
  });

  it('delivers nothing to an end that closed or aborted', async () => {
    for (const leave of ['close', 'abort'] as const) {
      const { client, server } = await joined();
      server.connection.send(pattern(10, 1));
      client.connection[leave]('enough');
      server.connection.send(pattern(20, 1));
      await bothClosed(client, server);
      expect(client.events).toEqual(['open', 'closed: enough']);
      expect(client.connection.bufferedBytes).toBe(0);
    }
  });

  it('closes once, in a later turn, however often it is told to', async () => {
    const { client, server } = await joined();
    client.connection.abort('first');
    client.connection.abort('second');
    client.connection.close('third');
    server.connection.close('fourth');
    expect(client.events).toEqual(['open']);
    await bothClosed(client, server);
    client.connection.abort('fifth');
    server.connection.abort('sixth');
    await turns(20);
    expect(client.events).toEqual(['open', 'closed: first']);
    expect(server.events.filter((event) => event.startsWith('closed'))).toHaveLength(1);
  });

  it('aborts or closes a dial under way', async () => {
    const b = bench().start('b');
    const { url } = await listening(b);
    const a = bench().start('a');
    for (const leave of ['abort', 'close'] as const) {
      const client = watched(a.dial(url));
      client.connection[leave]('changed my mind');
      await bench().until(() => client.events.length > 0);
      await turns(20);
      expect(client.events).toEqual(['closed: changed my mind']);
    }
  });

  it('counts what the network has not taken', async () => {
    const { client, server } = await joined();
    for (let i = 0; i < 16; i++) client.connection.send(pattern(1_000_000, i));
    expect(client.connection.bufferedBytes).toBeGreaterThan(1_000_000);
    await bench().until(() => server.frames.length === 16 && client.connection.bufferedBytes === 0);
    expect(server.frames.every((frame, i) => pattern(1_000_000, i).equals(frame))).toBe(true);
  });

  it('refuses to listen twice at one address, and frees it when closed', async () => {
    const b = bench().start('b');
    const { url, listener } = await listening(b);
    const error = await listenResult(b, url);
    expect(error?.message).toContain(url);
    expect(error?.message).toContain('another process listens there already');
    listener.close();
    await bench().until(() => true);
    let freed = false;
    const attempt = (): void => {
      b.listen(url, () => {}, (failed) => {
        if (failed === undefined) freed = true;
        else b.after(5, attempt);
      });
    };
    attempt();
    await bench().until(() => freed);
  });

  it('reports an address that it cannot listen on', async () => {
    const b = bench().start('b');
    expect((await listenResult(b, 'not an address'))?.message).toMatch(/./);
    expect((await listenResult(b, 'ws://192.0.2.1:7000'))?.message).toMatch(/192\.0\.2\.1/);
  });

  it('keeps connections when its listener closes, and takes no new ones', async () => {
    const b = bench().start('b');
    const { client, server, listener, url } = await joined(undefined, b);
    listener.close();
    client.connection.send(pattern(5, 5));
    await bench().until(() => server.frames.length === 1);
    const late = watched(bench().start('c').dial(url));
    await bench().until(() => late.events.length > 0);
    expect(late.events[0]).toMatch(/^closed/);
    server.connection.send(pattern(6, 6));
    await bench().until(() => client.frames.length === 1);
  });

  async function listening(runtime: Runtime): Promise<{ url: string; accepted: End[]; listener: Listener }> {
    const url = await bench().address('b');
    const accepted: End[] = [];
    let result: Error | 'pending' | undefined = 'pending';
    const listener = runtime.listen(url, (connection) => {
      const end = watched(connection);
      end.events.push('accepted');
      accepted.push(end);
    }, (error) => {
      result = error;
    });
    await bench().until(() => result !== 'pending');
    expect(result).toBeUndefined();
    return { url, accepted, listener };
  }

  async function listenResult(runtime: Runtime, url: string): Promise<Error | undefined> {
    let result: Error | 'pending' | undefined = 'pending';
    runtime.listen(url, () => {}, (error) => {
      result = error;
    });
    expect(result).toBe('pending');
    await bench().until(() => result !== 'pending');
    return result === 'pending' ? undefined : result;
  }

  /** Two ends that are open. `early` is called with the client's in the turn in which it opens. */
  async function joined(early: (client: Connection) => void = () => {}, b = bench().start('b')): Promise<{ client: End; server: End; listener: Listener; url: string }> {
    const { url, accepted, listener } = await listening(b);
    const client = watched(bench().start('a').dial(url), early);
    await bench().until(() => client.events.includes('open') && accepted[0]?.events.includes('open') === true);
    return { client, server: accepted[0]!, listener, url };
  }

  async function bothClosed(a: End, b: End): Promise<void> {
    await bench().until(() => [a, b].every(({ events }) => events.some((event) => event.startsWith('closed'))));
  }

  /** Lets so many timers of a millisecond pass one after another. */
  async function turns(count: number): Promise<void> {
    const runtime = bench().start('clock');
    let left = count;
    const tick = (): void => {
      if (--left > 0) runtime.after(1, tick);
    };
    runtime.after(1, tick);
    await bench().until(() => left === 0);
  }
}

function watched(connection: Connection, early: (connection: Connection) => void = () => {}): End {
  const end: End = { connection, events: [], frames: [] };
  connection.onOpen = () => {
    end.events.push('open');
    early(connection);
  };
  connection.onFrame = (frame) => {
    end.events.push('frame');
    end.frames.push(frame);
  };
  connection.onClose = (reason) => end.events.push(`closed: ${reason}`);
  return end;
}

function pattern(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + seed * 17 + (i >> 8)) & 0xff;
  return bytes;
}
