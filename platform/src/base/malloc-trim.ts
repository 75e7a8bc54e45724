/**
 * Gives the system back what malloc holds and nobody uses. glibc trims only the end of its heap: one small block that lives there keeps all below it,
 * and a thousand connections that came and went leave sixty megabytes. malloc_trim(3) gives back every whole page.
 *
 * Node has no call for it. SQLite's loader of extensions calls a function of a library by its name, with three pointers: malloc_trim takes the first of
 * them for how much to leave at the end of the heap, which is more than there is, and that end is trimmed without it whenever something is freed.
 */
import { DatabaseSync } from 'node:sqlite';

/** Holds the process for some milliseconds, or some tens after much was freed. Does nothing where there is no glibc. */
export function trimMalloc(): void {
  const db = new DatabaseSync(':memory:', { allowExtension: true });
  try {
    db.loadExtension('libc.so.6', 'malloc_trim');
  } catch {
    // It answers 1 when it gave something back, which SQLite takes for an extension that failed; or there is no such function.
  } finally {
    db.close();
  }
}
