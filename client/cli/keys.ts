/** Keys on a command line: a plain word is a string; JSON of an array is a tuple, JSON of a string a string. */
import type { Key } from '../index.ts';
import { InputError } from './exit-codes.ts';
import { formatTypedJson, parseTypedJson } from './typed-json.ts';

/** Only these beginnings are JSON: all other words stand for themselves. */
const jsonBeginning = /^\s*[["]/;

/** Whether the parts are such as keys have is checked by the client. */
export function parseKey(word: string): Key {
  if (!jsonBeginning.test(word)) return word;
  try {
    return parseTypedJson(word) as Key;
  } catch (error) {
    throw new InputError(`the key ${word} is ${(error as Error).message}\nA key that begins with [ or " is JSON: a tuple as '["account","alice"]', or a string as '"[1]"'.`);
  }
}

/** The word that `parseKey` reads back as this key. */
export function formatKey(key: Key): string {
  return typeof key === 'string' && !jsonBeginning.test(key) ? key : formatTypedJson(key);
}
