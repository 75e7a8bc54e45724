/** What a check of doctor says. */
export interface Finding {
  check: string;
  /** 'warn': it works, but less well; 'fail': Pods cannot run until it is mended. */
  state: 'ok' | 'warn' | 'fail';
  found: string;
  mend?: string;
}
