/** `$(VAR)` expansion of commands, arguments and variables, as the API documents it: `$$` is a dollar, what is not known stays as it is. */
export function expand(text: string, lookup: (name: string) => string | undefined): string {
  return text.replace(/\$(\$|\(([^)]*)\))/g, (whole, what: string, name: string | undefined) =>
    what === '$' ? '$' : (lookup(name ?? '') ?? whole),
  );
}
