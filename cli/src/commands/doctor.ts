/** `sampan doctor`: prints what the checks found. Exit code 1 when something stops Pods from running. */
import { allChecks } from '../doctor/checks.ts';
import type { Finding } from '../doctor/finding.ts';
import { currentInstance } from '../instance.ts';
import { type NetworkOptions, networkEnvironment } from '../setup/network-options.ts';

const marks = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' } as const;

export interface DoctorOptions extends NetworkOptions {
  output?: string;
}

export async function doctor(options: DoctorOptions): Promise<void> {
  Object.assign(process.env, networkEnvironment(options));
  const findings = await Promise.all(allChecks(currentInstance()).map((check) => check()));
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(findings, undefined, 2)}\n`);
  else for (const finding of findings) process.stdout.write(line(finding));
  if (findings.some((finding) => finding.state === 'fail')) process.exitCode = 1;
}

function line(finding: Finding): string {
  const mend = finding.mend ? `\n                   mend: ${finding.mend}` : '';
  return `${marks[finding.state]}  ${finding.check.padEnd(11)}  ${finding.found}${mend}\n`;
}
