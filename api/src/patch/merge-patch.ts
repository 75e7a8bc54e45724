/** JSON Merge Patch (RFC 7386): null deletes, objects merge, everything else replaces. */
import { cloneJson, getMember, isJsonObject, type JsonObject, setMember } from '../json.ts';

/** A patched copy; `document` is left alone. */
export function applyMergePatch<T>(document: T, patch: unknown): T {
  return merge(cloneJson(document), patch) as T;
}

function merge(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return cloneJson(patch);
  const result: JsonObject = isJsonObject(target) ? target : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else setMember(result, name, merge(getMember(result, name), value));
  }
  return result;
}
