import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { limits } from '../../../client/wire/limits.ts';
import type { Connection } from '../../../client/wire/environment.ts';
import { WebSocketConnection } from '../../../client/wire/websocket-connection.ts';
import { realBench, until } from './bench.ts';
import type { Bench } from './conformance.ts';

let bench: Bench;
beforeEach(async () => {
  bench = await realBench();
});
afterEach(() => bench.dispose());

it('closes a connection whose peer sends text', async () => {
  const { url, accepted } = await listening();
  const socket = new WebSocket(url);
  const codes: number[] = [];
  socket.on('open', () => socket.send('hello'));
  socket.on('close', (code) => codes.push(code));
  await until(() => accepted[0]?.events.length === 2 && codes.length === 1);
  expect(accepted[0]!.events[1]).toContain('text');
  expect(codes).toEqual([1003]);
});

it('closes a connection whose peer sends a frame above the limit, before it has arrived', async () => {
  const { url, accepted } = await listening();
  const socket = new WebSocket(url);
  socket.on('error', () => {});
  socket.on('open', () => socket.send(Buffer.alloc(limits.frameBytesMax + 1)));
  await until(() => accepted[0]?.events.length === 2);
  expect(accepted[0]!.events[1]).toMatch(/max payload/i);
});

it('turns web pages away, whatever their origin', async () => {
  const { url, accepted } = await listening();
  const errors: string[] = [];
  const socket = new WebSocket(url, { origin: 'http://127.0.0.1:8080' });
  socket.on('error', (error) => errors.push(error.message));
  await until(() => errors.length === 1);
  expect(errors[0]).toContain('401');
  expect(accepted).toEqual([]);
});

it('masks with zeros, and asks for no compression', async () => {
  const { url } = await listening();
  const sent: Buffer[] = [];
  const proxy = createServer((socket) => {
    const onward = connect(Number(new URL(url).port), '127.0.0.1');
    socket.on('data', (data) => sent.push(data)).pipe(onward).pipe(socket);
    for (const end of [socket, onward]) end.on('error', () => {});
  });
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done));
  const connection = WebSocketConnection.dial(`ws://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
  connection.onOpen = () => connection.send(Buffer.from('payload'));
  const frame = Buffer.concat([Buffer.from([0x82, 0x80 | 7, 0, 0, 0, 0]), Buffer.from('payload')]);
  await until(() => Buffer.concat(sent).includes(frame));
  expect(Buffer.concat(sent).toString('latin1')).not.toMatch(/sec-websocket-extensions/i);
  connection.abort('seen enough');
  proxy.close();
});

it('gives up on a peer that takes the connection and says nothing', async () => {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const reasons: string[] = [];
  const connection = WebSocketConnection.dial(url, 40);
  connection.onClose = (reason) => reasons.push(reason);
  await until(() => reasons.length === 1);
  expect(reasons[0]).toBe(`no answer from ${url} within 40 ms`);
  server.close();
});

it('opens a connection before the first frame, also of a peer that did not wait for it', async () => {
  const { url, accepted } = await listening();
  const { port, host } = new URL(url);
  const socket = connect(Number(port), '127.0.0.1');
  const request = ['GET / HTTP/1.1', `Host: ${host}`, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`, '', ''];
  // One binary frame of three bytes, masked with zeros.
  socket.write(Buffer.concat([Buffer.from(request.join('\r\n')), Buffer.from([0x82, 0x83, 0, 0, 0, 0, 1, 2, 3])]));
  await until(() => accepted[0]?.events.length === 2);
  expect(accepted[0]!.events).toEqual(['open', 'frame']);
  socket.destroy();
});

it('reports that a peer went without a word', async () => {
  const { url, accepted } = await listening();
  const socket = new WebSocket(url);
  socket.on('open', () => socket.terminate());
  await until(() => accepted[0]?.events.length === 2);
  expect(accepted[0]!.events[1]).toMatch(/^closed by the peer/);
});

interface Accepted {
  readonly connection: Connection;
  readonly events: string[];
}

async function listening(): Promise<{ url: string; accepted: Accepted[] }> {
  const url = await bench.address('a');
  const accepted: Accepted[] = [];
  let state: Error | 'pending' | undefined = 'pending';
  bench.start('a').listen(url, (connection) => {
    const end: Accepted = { connection, events: [] };
    connection.onOpen = () => end.events.push('open');
    connection.onFrame = () => end.events.push('frame');
    connection.onClose = (reason) => end.events.push(reason);
    accepted.push(end);
  }, (error) => {
    state = error;
  });
  await until(() => state === undefined);
  return { url, accepted };
}
