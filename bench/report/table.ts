/** Tables for people: columns as wide as their widest cell; numbers stand to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const columns = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) => row.map((cell, column) => (isNumeric(cell) ? cell.padStart(widths[column] as number) : cell.padEnd(widths[column] as number))).join('  ').trimEnd()).join('\n');
}

/** With its unit, if it has one. */
function isNumeric(cell: string): boolean {
  return /^([<>≤≥] )?[-–]?[\d,.]+( [a-zµ%/]+)?$/.test(cell);
}

/** 12345.6 as 12,346; what is below ten keeps one decimal; what is not known is a dash. */
export function number(value: number): string {
  if (Number.isNaN(value)) return '–';
  return Math.abs(value) < 10 && !Number.isInteger(value) ? value.toFixed(1) : Math.round(value).toLocaleString('en-US');
}

export function milliseconds(value: number): string {
  if (Number.isNaN(value)) return '–';
  return value >= 10_000 ? `${(value / 1_000).toFixed(1)} s` : `${number(value)} ms`;
}
