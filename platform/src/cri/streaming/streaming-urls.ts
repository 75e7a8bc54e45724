/** Exec, Attach and PortForward: checked at once, and answered with a URL at which the client finds its streams. */
import { SampanError } from '@sampan/api/errors.ts';
import * as cri from '../../runtime/generated/cri.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Tokens } from './tokens.ts';

/** What a token stands for. */
export type StreamRequest =
  | { kind: 'exec'; request: cri.ExecRequest }
  | { kind: 'attach'; request: cri.AttachRequest }
  | { kind: 'portforward'; request: cri.PortForwardRequest };

export class StreamingUrls {
  readonly #runtime: Runtime;
  readonly #tokens: Tokens<StreamRequest>;
  readonly #base: string;

  /** `base` is the streaming server's own URL, without a slash at its end. */
  constructor(runtime: Runtime, tokens: Tokens<StreamRequest>, base: string) {
    this.#runtime = runtime;
    this.#tokens = tokens;
    this.#base = base;
  }

  async exec(request: cri.ExecRequest): Promise<cri.ExecResponse> {
    checkStreams('exec', request);
    if (!request.cmd?.length) throw new SampanError('Invalid', 'exec: no command was given');
    await this.#wantRunning(request.containerId);
    return this.#url({ kind: 'exec', request });
  }

  async attach(request: cri.AttachRequest): Promise<cri.AttachResponse> {
    checkStreams('attach', request);
    await this.#wantRunning(request.containerId);
    return this.#url({ kind: 'attach', request });
  }

  async portForward(request: cri.PortForwardRequest): Promise<cri.PortForwardResponse> {
    const { status } = await this.#runtime.podSandboxStatus({ podSandboxId: request.podSandboxId });
    if (status?.state !== cri.PodSandboxState.SANDBOX_READY)
      throw new SampanError('FailedPrecondition', `sandbox ${request.podSandboxId} is not ready`);
    for (const port of request.port ?? [])
      if (port < 1 || port > 65535) throw new SampanError('Invalid', `port ${port} is not a port: 1 to 65535`);
    return this.#url({ kind: 'portforward', request });
  }

  async #wantRunning(containerId: string | undefined): Promise<void> {
    const { status } = await this.#runtime.containerStatus({ containerId });
    if (status?.state !== cri.ContainerState.CONTAINER_RUNNING)
      throw new SampanError(
        'FailedPrecondition',
        `container ${containerId} is ${stateName(status?.state)}, wanted running`,
      );
  }

  #url(request: StreamRequest): { url: string } {
    return { url: `${this.#base}/${request.kind}/${this.#tokens.issue(request)}` };
  }
}

function stateName(state: number | undefined): string {
  const name = Object.entries(cri.ContainerState).find(([, value]) => value === state)?.[0] ?? 'unknown';
  return name.replace('CONTAINER_', '').toLowerCase();
}

/** CRI: at least one stream; a terminal has no stderr of its own. */
function checkStreams(call: string, request: cri.AttachRequest): void {
  const { stdin, stdout, stderr, tty } = request;
  if (!stdin && !stdout && !stderr)
    throw new SampanError('Invalid', `${call}: one of stdin, stdout and stderr must be asked for`);
  if (tty && stderr) throw new SampanError('Invalid', `${call}: with a tty there is no stderr; ask for stdout`);
}
