/** Lists of completion indexes as a Job writes them: `1,3-5,7`, in increasing order (batch/v1 JobStatus.completedIndexes). */

export interface IndexRange {
  first: number;
  last: number;
}

/** The ranges of `text`; throws RangeError in the words of the API server when it is no such list within [0, limit). */
export function parseIndexList(text: string, limit: number): IndexRange[] {
  const ranges: IndexRange[] = [];
  if (text === '') return ranges;
  for (const part of text.split(',')) {
    const match = /^(\d{1,10})(?:-(\d{1,10}))?$/.exec(part);
    if (!match) throw new RangeError(`cannot convert string to integer for index: "${part}"`);
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    for (const index of [first, last]) {
      if (index >= limit) throw new RangeError(`too large index: "${index}"`);
    }
    const before = ranges.at(-1);
    if (before && first <= before.last) {
      throw new RangeError(`non-increasing order, previous: ${before.last}, current: ${first}`);
    }
    if (match[2] !== undefined && first >= last) {
      throw new RangeError(`non-increasing order, previous: ${first}, current: ${last}`);
    }
    ranges.push({ first, last });
  }
  return ranges;
}

/** What stands in a status this platform wrote: those indexes below `limit`. */
export function indexSet(text: string | undefined, limit: number): Set<number> {
  const found = new Set<number>();
  for (const part of (text ?? '').split(',').filter(Boolean)) {
    const [first = 0, last = first] = part.split('-').map(Number);
    for (let index = first; index <= last && index < limit; index++) found.add(index);
  }
  return found;
}

/** Three or more consecutive indexes become a range, two stay apart. */
export function formatIndexList(indexes: Iterable<number>): string {
  const sorted = [...indexes].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let at = 0; at < sorted.length; ) {
    let end = at;
    while (sorted[end + 1] === sorted[end]! + 1) end += 1;
    if (end - at >= 2) parts.push(`${sorted[at]}-${sorted[end]}`);
    else for (let i = at; i <= end; i++) parts.push(String(sorted[i]));
    at = end + 1;
  }
  return parts.join(',');
}
