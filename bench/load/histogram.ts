/**
 * Latencies, kept as HDR histograms (Tene): every one of them, in memory of a fixed size, exact to three digits (or
 * two), from a microsecond to two minutes. They can be added up, which percentiles can't: those of several processes or
 * rounds are percentiles of the sum of their histograms, never means of percentiles.
 */
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';

const longestTrackedUs = 120_000_000;

/** With two digits it is small enough to have one for each tenth of a second. */
export function latencies(digits: 2 | 3 = 3): Histogram {
  return build({ lowestDiscernibleValue: 1, highestTrackableValue: longestTrackedUs, numberOfSignificantValueDigits: digits, useWebAssembly: false });
}

/** What took longer than two minutes counts as two minutes. */
export function record(histogram: Histogram, tookMs: number): void {
  histogram.recordValue(Math.min(longestTrackedUs, Math.max(1, Math.round(tookMs * 1_000))));
}

/** In milliseconds; NaN of nothing. */
export function percentileMs(histogram: Histogram, percentile: number): number {
  return histogram.totalCount === 0 ? Number.NaN : histogram.getValueAtPercentile(percentile) / 1_000;
}

export function longestMs(histogram: Histogram): number {
  return histogram.totalCount === 0 ? Number.NaN : histogram.maxValue / 1_000;
}

/** The common exchange format of HDR histograms (V2, deflated, base64), for which other tools exist. */
export function encode(histogram: Histogram): string {
  return encodeIntoCompressedBase64(histogram);
}

export function decode(text: string): Histogram {
  return decodeFromCompressedBase64(text, 32, false);
}

/** The sum of encoded histograms; an empty one of none. */
export function merged(texts: readonly string[], digits: 2 | 3 = 3): Histogram {
  const sum = latencies(digits);
  for (const text of texts) sum.add(decode(text));
  return sum;
}
