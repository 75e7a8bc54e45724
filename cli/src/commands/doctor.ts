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
  else for (const finding of findings) process.stdout.write(line(finding, process.stdout.columns));
  if (findings.some((finding) => finding.state === 'fail')) process.exitCode = 1;
}

/** Of `columns` at most, where they are known: no word of what was found is cut by the terminal's edge. Pure. */
export function line(finding: Finding, columns = Number.POSITIVE_INFINITY): string {
  const fold = (text: string) => folded(text, columns - indent.length).join(`\n${indent}`);
  const mend = finding.mend ? `\n${indent}${fold(`mend: ${finding.mend}`)}` : '';
  return `${marks[finding.state]}  ${finding.check.padEnd(11)}  ${fold(finding.found)}${mend}\n`;
}

const indent = ' '.repeat(19);

function folded(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
