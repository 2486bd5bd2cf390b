/**
 * Frames and bodies: messages to MessagePack bytes and back.
 *
 * A frame is one MessagePack array of messages, so that everything queued for a peer in a turn of the event loop costs
 * one system call. Plain MessagePack throughout, no record structures: they carry state from frame to frame, and a
 * peer that lacks it can't decode.
 *
 * Decoding is the door. Whatever the bytes, it yields messages of the shapes in messages.ts or throws `BadFrame`.
 *
 * Byte strings of a decoded message are views of the frame and keep the whole of it alive: copy what lives long.
 * Encoded frames and bodies are in the same way views of a buffer that is shared with their neighbours.
 */
import { Packr, Unpackr } from 'msgpackr';
import { DtpError } from './errors.ts';
import { limits } from './limits.ts';
import { bodyFaultOf, faultOf, Tag } from './messages.ts';
import type { Body, Hello, Message, Refuse, Welcome } from './messages.ts';
import { faultOfEncoding } from './scan.ts';

/** The bytes are no frame, body or value of ours. The message is ours and bounded: safe to log. */
export class BadFrame extends DtpError {
  constructor(reason: string) {
    super('bad-message', reason);
  }
}

/**
 * Integers beyond 32 bits leave as float 64, which holds them exactly up to 2^53 and is faster than a 64-bit integer;
 * they are read from either. `useToJSON` off: a status object with such a method would not arrive as it is.
 */
const packr = new Packr({ useRecords: false, useToJSON: false, encodeUndefinedAsNil: true, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });

/**
 * The frames that carry the messages, in order: one, unless they exceed a frame's target size or count.
 *
 * @throws Error if a single message exceeds `limits.frameBytesMax`: whoever composes messages keeps to limits that rule it out.
 */
export function encodeFrames(messages: readonly Message[]): Uint8Array[] {
  const frames: Uint8Array[] = [];
  let first = 0;
  let bytes = 0;
  for (let i = 0; i < messages.length; i++) {
    const size = estimatedBytes(messages[i] as Message);
    if (i > first && (bytes + size > limits.frameBytesTarget || i - first === limits.frameMessagesMax)) {
      frames.push(encodeFrame(messages.slice(first, i)));
      first = i;
      bytes = 0;
    }
    bytes += size;
  }
  if (first < messages.length) frames.push(encodeFrame(first === 0 ? messages : messages.slice(first)));
  return frames;
}

/** One frame of messages that are known to fit. */
export function encodeFrame(messages: readonly Message[]): Uint8Array {
  const frame = packr.pack(messages);
  if (frame.length > limits.frameBytesMax) throw new Error(`a frame of ${frame.length} bytes, more than ${limits.frameBytesMax}`);
  return frame;
}

/**
 * About how many bytes the message takes in a frame. Never less, but for strings, which are counted as if they were ASCII:
 * one of other characters takes up to three times as much.
 */
export function estimatedBytes(part: unknown): number {
  if (typeof part === 'number') return part >= 0 && part < 0x80 ? 1 : 9;
  if (typeof part === 'string') return part.length + 3;
  if (part instanceof Uint8Array) return part.length + 5;
  if (Array.isArray(part)) {
    let sum = part.length < 0x10 ? 1 : 5;
    for (let i = 0; i < part.length; i++) sum += estimatedBytes(part[i]);
    return sum;
  }
  return part !== null && typeof part === 'object' ? estimatedBytes(Object.entries(part)) : 1;
}

/**
 * The messages of a frame, each of the shape that its tag tells.
 *
 * @throws BadFrame, and nothing else, whatever the bytes.
 */
export function decodeFrame(bytes: Uint8Array): Message[] {
  if (bytes.length > limits.frameBytesMax) throw new BadFrame(`a frame of ${bytes.length} bytes, more than ${limits.frameBytesMax}`);
  const messages = decodePlain(bytes, 'a frame');
  if (!Array.isArray(messages)) throw new BadFrame('a frame that is no array of messages');
  if (messages.length > limits.frameMessagesMax) throw new BadFrame(`a frame of ${messages.length} messages, more than ${limits.frameMessagesMax}`);
  for (let i = 0; i < messages.length; i++) {
    const fault = faultOf(messages[i]);
    if (fault !== null) throw new BadFrame(fault);
  }
  return messages as Message[];
}

/**
 * The first frame of a session, which holds a hello, welcome or refuse and nothing else. A greeting in another version
 * of the protocol may have other fields, so its version is looked at before its shape.
 *
 * @throws BadFrame; DtpError `wrong-version`.
 */
export function decodeGreeting(bytes: Uint8Array, protocolVersion: number): Hello | Welcome | Refuse {
  if (bytes.length > limits.greetingBytesMax) throw new BadFrame(`a greeting of ${bytes.length} bytes, more than ${limits.greetingBytesMax}`);
  const messages = decodePlain(bytes, 'a greeting');
  const greeting: unknown = Array.isArray(messages) ? messages[0] : undefined;
  if (!Array.isArray(greeting)) throw new BadFrame('a greeting that is no message');
  const [tag, version] = greeting as unknown[];
  if (tag !== Tag.hello && tag !== Tag.welcome && tag !== Tag.refuse) throw new BadFrame('a session that begins without a greeting');
  if (tag !== Tag.refuse && Number.isSafeInteger(version) && version !== protocolVersion) {
    throw new DtpError('wrong-version', `protocol version ${String(version)}, spoken here is ${protocolVersion}`);
  }
  const fault = faultOf(greeting) ?? ((messages as unknown[]).length > 1 ? 'a greeting with more messages in its frame' : null);
  if (fault !== null) throw new BadFrame(fault);
  return greeting as Hello | Welcome | Refuse;
}

/** A transaction's reads and writes as the opaque bytes that nodes carry and store. */
export function encodeBody(body: Body): Uint8Array {
  return packr.pack(body);
}

/** @throws BadFrame, and nothing else, whatever the bytes. */
export function decodeBody(bytes: Uint8Array): Body {
  const body = decodePlain(bytes, 'a transaction body');
  const fault = bodyFaultOf(body);
  if (fault !== null) throw new BadFrame(fault);
  return body as Body;
}

function decodePlain(bytes: Uint8Array, what: string): unknown {
  const fault = faultOfEncoding(bytes, limits.frameValuesMax);
  if (fault !== null) throw new BadFrame(`${what} with ${fault}`);
  try {
    return unpackr.unpack(bytes);
  } catch {
    // Well-formed, but not to this decoder's liking: a map whose keys are no strings, for one.
    throw new BadFrame(`${what} that can't be decoded`);
  }
}
