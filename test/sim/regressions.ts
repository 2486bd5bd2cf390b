/**
 * Seeds that failed once, each with what had happened. A seed stands for the same run only as long as nothing that it
 * draws from changes; so each was told in a test of its own too, where that is named.
 */
export interface Regression {
  readonly seed: number;
  /** What had happened, in a sentence. */
  readonly story: string;
}

export const regressions: readonly Regression[] = [];
