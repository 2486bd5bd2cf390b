/** Where in a value the encoder is, and what it met there, in words. */
import { limits } from './limits.ts';

export type Container = 'array' | 'object' | 'map' | 'set';

/** At each depth the container, and the key or position in it: kept up to date all the time, which costs less than unwinding. */
export const containers: Container[] = [];
export const keys: (string | number)[] = [];

/** Stand for what is no value that could be described. */
export const hole = Symbol('a hole in an array');
export const tooDeep = Symbol(`nested more than ${limits.nestingMax} levels deep, or contains itself`);

/** What is wrong with it. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'symbol': return value === hole || value === tooDeep ? (value.description as string) : 'a symbol';
    case 'function': return 'a function';
    case 'string': return 'a string with half of a surrogate pair, which has no UTF-8';
    default:
      if (value instanceof Date && Object.getPrototypeOf(value) === Date.prototype) return 'an invalid Date';
      if (value instanceof Promise) return 'a Promise; await it first';
      return `an instance of ${String((value as object).constructor?.name ?? 'an unnamed class').slice(0, 64)}`;
  }
}

/** As in `value.orders[2]["due date"]`; entries of maps and sets by their position. */
export function pathTo(depth: number): string {
  let path = 'value';
  for (let i = 0; i < depth; i++) {
    const key = keys[i] as string | number;
    switch (containers[i]) {
      case 'object': path += /^[A-Za-z_$][\w$]{0,63}$/.test(String(key)) ? `.${key}` : `[${JSON.stringify(String(key).slice(0, 64))}]`; break;
      case 'map': path += `<${(key as number) % 2 === 0 ? 'key' : 'value'} of entry ${(key as number) >> 1}>`; break;
      case 'set': path += `<entry ${key}>`; break;
      default: path += `[${key}]`;
    }
  }
  return path;
}
