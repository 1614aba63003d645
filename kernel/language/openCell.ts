import type ts from "#typescript";

/** The code that is being written, placed behind what earlier cells declared.
 *  Positions in the file are positions in the code plus `offset`, in UTF-16 units. */
export interface OpenCell {
  readonly service: ts.LanguageService;
  readonly checker: ts.TypeChecker;
  readonly sourceFile: ts.SourceFile;
  readonly offset: number;
  /** The notebook's folder. */
  readonly folder: string;
}

/** The file that hands the names of earlier cells on; see compile/scope.ts. */
export function scopePath({ folder }: OpenCell): string {
  return `${folder}/__scope.ts`;
}

/** The innermost node that the position is in or right behind. */
export function nodeBefore(sourceFile: ts.SourceFile, position: number): ts.Node {
  let found: ts.Node = sourceFile;
  const visit = (node: ts.Node): void => {
    if (node.getStart(sourceFile) >= position || position > node.end) return;
    found = node;
    node.forEachChild(visit);
  };
  sourceFile.forEachChild(visit);
  return found;
}
