/**
 * A planted bug: a mistake that somebody could make, written down as a change of the sources.
 *
 * A simulation that has never failed proves nothing: perhaps it can't. So mistakes are planted, one at a time, in a copy
 * of the tree, and the simulation has to find each of them (mutation testing, DeMillo, Lipton and Sayward 1978, with
 * mutants chosen by hand: those that a protocol of this kind is ruined by). Production code has no seams for this.
 */
export interface Patch {
  /** From the root of the project. */
  readonly module: string;
  /** Stands exactly once in the module, or the patch is refused: a catalogue that no longer fits its sources is worth nothing. */
  readonly find: string;
  readonly replace: string;
}

export interface PlantedBug {
  readonly name: string;
  /** What it does wrong, in a sentence. */
  readonly wrong: string;
  readonly patches: readonly Patch[];
}

/** The module's source with the patch applied. Throws if the patch doesn't fit. */
export function applyPatch(source: string, { module, find, replace }: Patch, bug: string): string {
  const count = source.split(find).length - 1;
  if (count !== 1) throw new Error(`the planted bug ${bug} doesn't fit any more: ${module} has its text ${count} times instead of once:\n${find}`);
  return source.replace(find, () => replace);
}
