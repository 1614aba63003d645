/** So many of the latest messages are remembered at least, about 3 MB; jupyter_client's Session remembers twice as many. */
const REMEMBERED = 1 << 15;
/** Half a SHA-256 digest in hexadecimal: enough that no two messages share it by chance, and half the memory. */
const KEPT_LENGTH = 32;

/** Knows the signatures of the latest messages: a message that comes a second time was recorded and sent again by
 *  somebody who need not know the key. Every honest message has a new id and so a new signature. */
export class ReplayGuard {
  private readonly capacity: number;
  private recent = new Set<string>();
  private older = new Set<string>();

  /** @param capacity how many messages are remembered at least; at most twice as many */
  constructor(capacity: number = REMEMBERED) {
    this.capacity = capacity;
  }

  /** @param signature of a message whose signature was found right
   *  @returns whether it is new */
  accept(signature: string): boolean {
    const kept = signature.slice(0, KEPT_LENGTH);
    if (this.recent.has(kept) || this.older.has(kept)) return false;
    this.recent.add(kept);
    if (this.recent.size >= this.capacity) {
      this.older = this.recent;
      this.recent = new Set();
    }
    return true;
  }
}
