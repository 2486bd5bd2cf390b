/** User values as bytes and back, for clients and for operations that nodes apply. The format is in value-types.ts. */
export { decodeValue } from './value-reader.ts';
export { encodeValue } from './value-writer.ts';
