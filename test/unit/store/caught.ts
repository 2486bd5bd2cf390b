import { StoreError } from '../../../node/store/store.ts';

/** The StoreError that the action throws. */
export function caught(action: () => unknown): StoreError {
  try {
    action();
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
