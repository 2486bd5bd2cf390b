/** The other end of what floor measures between two processes: gives back bytes of a TCP connection, counts frames of WebSockets. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

const tcp = createServer((socket) => {
  socket.setNoDelay(true);
  socket.on('data', (bytes) => socket.write(bytes));
  socket.on('error', () => {});
});
const frames = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
frames.on('connection', (socket) => {
  let count = 0;
  socket.on('message', (bytes: Buffer) => {
    count++;
    // The last one of a burst is longer, and asks how many there were.
    if (bytes.length === 8) socket.send(String(count));
  });
});
await Promise.all([new Promise<void>((listening) => tcp.listen(0, '127.0.0.1', listening)), new Promise((listening) => frames.once('listening', listening))]);
process.send?.({ tcp: (tcp.address() as AddressInfo).port, frames: (frames.address() as AddressInfo).port });
process.on('disconnect', () => process.exit(0));
