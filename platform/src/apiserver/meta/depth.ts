/** How deep JSON may go: whatever is walked by recursion must be known to end before the stack does. */
import { badRequest } from './failures.ts';

const maxDepth = 100;

/** Throws BadRequest. */
export function checkDepth(value: unknown, depth = 0): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth === maxDepth) throw badRequest(`the body is nested deeper than ${maxDepth} levels`);
  for (const member of Object.values(value)) checkDepth(member, depth + 1);
}
