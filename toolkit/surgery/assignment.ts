/** Pairs rows with columns one to one so that the sum of the paired costs is smallest, in time n³.
 *  @param costs [n, n], row-major, finite
 *  @returns the column of each row, [n]
 *  Source: Hungarian method by shortest augmenting paths: Kuhn 1955, doi:10.1002/nav.3800020109; Jonker & Volgenant 1987,
 *  doi:10.1007/BF02278710 */
export function assign(costs: Float64Array, n: number): Int32Array {
  const rowPrice = new Float64Array(n + 1), columnPrice = new Float64Array(n + 1);
  // Row of each column; column n is where the row that is being added waits.
  const rowOf = new Int32Array(n + 1).fill(-1);
  for (let row = 0; row < n; row++) augment(row, costs, n, rowPrice, columnPrice, rowOf);
  const columnOf = new Int32Array(n);
  for (let column = 0; column < n; column++) columnOf[rowOf[column]] = column;
  return columnOf;
}

/** Adds a row to the pairs: the cheapest chain of changes that ends in a free column. */
function augment(row: number, costs: Float64Array, n: number, rowPrice: Float64Array, columnPrice: Float64Array, rowOf: Int32Array): void {
  const distance = new Float64Array(n).fill(Infinity);
  const before = new Int32Array(n).fill(n);
  const isDone = new Uint8Array(n + 1);
  rowOf[n] = row;
  let column = n;
  while (rowOf[column] >= 0) {
    isDone[column] = 1;
    const from = rowOf[column];
    let [nearest, least] = [n, Infinity];
    for (let j = 0; j < n; j++) {
      if (isDone[j]) continue;
      const reduced = costs[from * n + j] - rowPrice[from] - columnPrice[j];
      if (reduced < distance[j]) {
        distance[j] = reduced;
        before[j] = column;
      }
      if (distance[j] < least) [nearest, least] = [j, distance[j]];
    }
    for (let j = 0; j <= n; j++) {
      if (isDone[j]) {
        rowPrice[rowOf[j]] += least;
        columnPrice[j] -= least;
      } else if (j < n) distance[j] -= least;
    }
    column = nearest;
  }
  while (column !== n) {
    rowOf[column] = rowOf[before[column]];
    column = before[column];
  }
}
