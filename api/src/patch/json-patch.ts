/** JSON Patch (RFC 6902). */
import { SampanError } from '../errors.ts';
import { cloneJson, equalJson, getMember, isJsonObject, setMember } from '../json.ts';

interface Operation {
  op: string;
  path: string;
  from?: string;
  value?: unknown;
}

/** As kube-apiserver: more than this in one patch is refused. */
const maxOperations = 10_000;
/** Characters of JSON that the copies of one patch may come to (json-patch AccumulatedCopySizeLimit): each copy may hold all those before. */
const maxCopied = 3 * 1024 * 1024;
/** Elements of lists that the additions and removals of one patch may move. */
const maxMoved = 20_000_000;
const maxSteps = 128;

/**
 * A patched copy; `document` is left alone. Throws BadRequest for what is no JSON Patch, Invalid for one that does not fit the document (or whose
 * test fails): then nothing was applied.
 */
export function applyJsonPatch<T>(document: T, patch: unknown): T {
  if (!Array.isArray(patch)) throw new SampanError('BadRequest', 'a JSON patch is a list of operations');
  if (patch.length > maxOperations) {
    throw new SampanError(
      'RequestEntityTooLarge',
      `The allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`,
    );
  }
  const root: Root = { document: cloneJson(document) as unknown, copied: 0, moved: 0 };
  patch.forEach((operation, i) => {
    applyOne(root, parseOperation(operation, i));
  });
  return root.document as T;
}

function parseOperation(value: unknown, i: number): Operation {
  const bad = (why: string) => new SampanError('BadRequest', `JSON patch operation ${i}: ${why}`);
  if (!isJsonObject(value)) throw bad('must be an object');
  const { op, path, from } = value;
  if (typeof op !== 'string' || !(op in operations)) throw bad(`unknown op ${JSON.stringify(op)}`);
  if (typeof path !== 'string' || !isPointer(path)) throw bad(`path ${JSON.stringify(path)} is no JSON pointer`);
  if ((op === 'move' || op === 'copy') && (typeof from !== 'string' || !isPointer(from))) {
    throw bad(`from ${JSON.stringify(from)} is no JSON pointer`);
  }
  if (['add', 'replace', 'test'].includes(op) && !('value' in value)) throw bad(`${op} needs a value`);
  return value as unknown as Operation;
}

const isPointer = (text: string) =>
  text === '' || (/^\/(?:[^~]|~[01])*$/s.test(text) && text.split('/').length <= maxSteps + 1);

interface Root {
  document: unknown;
  /** What was spent of the bounds above. */
  copied: number;
  moved: number;
}

function applyOne(root: Root, operation: Operation): void {
  operations[operation.op]!(root, operation);
}

const operations: Record<string, (root: Root, operation: Operation) => void> = Object.assign(Object.create(null), {
  add: (root: Root, { path, value }: Operation) => add(root, path, cloneJson(value)),
  remove: (root: Root, { path }: Operation) => remove(root, path),
  replace(root: Root, { path, value }: Operation) {
    const { parent } = path === '' ? {} : parentOf(root, path);
    // As the library of kube-apiserver has it, a member that is not there is replaced all the same; RFC 6902 would refuse.
    if (!isJsonObject(parent)) get(root, path);
    put(root, path, cloneJson(value));
  },
  move(root: Root, { path, from = '' }: Operation) {
    if (path.startsWith(`${from}/`)) throw misfit(`cannot move ${from} into itself at ${path}`);
    const value = get(root, from);
    remove(root, from);
    add(root, path, value);
  },
  copy(root: Root, { path, from = '' }: Operation) {
    const value = get(root, from);
    root.copied += sizeOf(value, maxCopied - root.copied);
    if (root.copied > maxCopied) {
      throw tooMuch(
        `Unable to complete the copy, the accumulated size increase of copy is ${root.copied}, exceeding the limit ${maxCopied}`,
      );
    }
    add(root, path, cloneJson(value));
  },
  test(root: Root, { path, value }: Operation) {
    if (!equalJson(get(root, path), value)) throw misfit(`testing value ${path} failed: test failed`);
  },
});

function tooMuch(message: string): SampanError {
  return new SampanError('RequestEntityTooLarge', message);
}

/** About how many characters the value has as JSON; counting ends at `enough`. Without recursion: copies of copies may be deep. */
function sizeOf(value: unknown, enough: number): number {
  let size = 0;
  const left = [value];
  for (let next = left.pop(); next !== undefined && size <= enough; next = left.pop()) {
    if (typeof next === 'object' && next !== null) {
      for (const [name, member] of Object.entries(next)) {
        size += name.length + 3;
        left.push(member ?? null);
      }
      size += 2;
    } else size += typeof next === 'string' ? next.length + 2 : 5;
  }
  return size;
}

function misfit(message: string): SampanError {
  return new SampanError('Invalid', `the server rejected our request due to an error in our request: ${message}`);
}

function steps(path: string): string[] {
  return path === ''
    ? []
    : path
        .slice(1)
        .split('/')
        .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function get(root: Root, path: string): unknown {
  return steps(path).reduce((value, step) => child(value, step, path), root.document);
}

function child(parent: unknown, step: string, path: string): unknown {
  if (Array.isArray(parent)) return parent[arrayIndex(step, parent.length - 1, path)];
  if (!isJsonObject(parent) || !Object.hasOwn(parent, step)) throw misfit(`${path} does not exist`);
  return getMember(parent, step);
}

/** The parent of what `path` names, which must exist, and the last step to it. */
function parentOf(root: Root, path: string): { parent: unknown; last: string } {
  const all = steps(path);
  const last = all.pop()!;
  return { parent: all.reduce((value, step) => child(value, step, path), root.document), last };
}

function add(root: Root, path: string, value: unknown): void {
  if (path === '') {
    root.document = value;
    return;
  }
  const { parent, last } = parentOf(root, path);
  if (Array.isArray(parent)) {
    const index = last === '-' ? parent.length : arrayIndex(last, parent.length, path);
    spend(root, parent.length - index);
    parent.splice(index, 0, value);
  } else if (isJsonObject(parent)) setMember(parent, last, value);
  else throw misfit(`${path} does not exist`);
}

/** In place of what is there. */
function put(root: Root, path: string, value: unknown): void {
  if (path === '') {
    root.document = value;
    return;
  }
  const { parent, last } = parentOf(root, path);
  if (Array.isArray(parent)) parent[Number(last)] = value;
  else setMember(parent as Record<string, unknown>, last, value);
}

function spend(root: Root, moved: number): void {
  root.moved += moved;
  if (root.moved > maxMoved) throw tooMuch('the patch moves too many elements of lists');
}

function remove(root: Root, path: string): void {
  get(root, path);
  if (path === '') {
    root.document = null;
    return;
  }
  const { parent, last } = parentOf(root, path);
  if (Array.isArray(parent)) {
    spend(root, parent.length - Number(last));
    parent.splice(Number(last), 1);
  } else delete (parent as Record<string, unknown>)[last];
}

function arrayIndex(step: string, max: number, path: string): number {
  if (!/^(0|[1-9]\d{0,9})$/.test(step)) throw misfit(`${path}: ${JSON.stringify(step)} is no array index`);
  if (Number(step) > max) throw misfit(`${path}: index ${step} is out of bounds`);
  return Number(step);
}
