/**
 * Certificate requests of the API's own clients: those of nodes are approved when the asker may have them, what is approved is signed,
 * and old requests are taken away (pkg/controller/certificates: approver, signer, cleaner). Other signers' requests are left to them.
 *
 *   asked ──approved by us (nodes) or by somebody──▶ Approved ──signed──▶ Issued ──an hour──▶ gone
 *     └──────────── a day ──▶ gone                        └──not for this signer──▶ Failed ──an hour──▶ gone
 */
import { type KubeClient, type KubeObject, resources } from '@sampan/api/client.ts';
import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
} from 'kubernetes-types/certificates/v1.js';
import { WorkQueue } from '../base/work-queue.ts';
import { type ControllerParts, unlessOutdated } from './controller-options.ts';
import type { SharedInformer } from './informer/shared-informer.ts';

/** The instance's CA, as far as this controller needs it. Requests and certificates are PEM. */
export interface CertificateAuthority {
  /** Throws for what is no request. */
  read(request: string): Promise<{ commonName: string; organizations?: string[]; names: string[] }>;
  sign(request: string, usages: string[], lifetimeMs: number): Promise<string>;
}

type Request = CertificateSigningRequest & KubeObject;
type Asked = Awaited<ReturnType<CertificateAuthority['read']>>;

const clientSigner = 'kubernetes.io/kube-apiserver-client';
const nodeSigner = 'kubernetes.io/kube-apiserver-client-kubelet';
const hourMs = 3_600_000;
const pendingKeptMs = 24 * hourMs;
const longestMs = 365 * 24 * hourMs;
const ref = resources.certificatesigningrequests;

export class CertificateController {
  readonly #client: KubeClient;
  readonly #authority: CertificateAuthority;
  readonly #parts: ControllerParts;
  readonly #requests: SharedInformer<Request>;
  readonly #queue: WorkQueue;

  constructor(options: ControllerParts & { authority: CertificateAuthority }) {
    this.#parts = options;
    this.#client = options.client;
    this.#authority = options.authority;
    this.#queue = new WorkQueue({ log: options.log, clock: options.clock, work: (name) => this.#handle(name) });
    this.#requests = options.informers.of<Request>(ref);
  }

  async start(): Promise<void> {
    this.#requests.subscribe(({ type, object }) => {
      if (type === 'set') this.#queue.add(object.metadata?.name ?? '');
    });
    await this.#requests.start();
  }

  close(): Promise<void> {
    return this.#queue.close();
  }

  async #handle(name: string): Promise<void> {
    const request = this.#requests.get(name);
    if (!request || request.metadata?.deletionTimestamp) return;
    const leftMs = timeLeftMs(request, this.#parts.clock.now());
    if (leftMs <= 0) {
      const preconditions = { uid: request.metadata?.uid };
      await unlessOutdated(this.#client.delete(ref, name, { preconditions }));
      return;
    }
    this.#queue.addAfter(name, leftMs);
    if (request.status?.certificate || has(request, 'Denied') || has(request, 'Failed')) return;
    if (![clientSigner, nodeSigner].includes(request.spec.signerName)) return;
    const asked = await this.#authority.read(pemOf(request));
    if (has(request, 'Approved')) await this.#sign(request, asked);
    else if (request.spec.signerName === nodeSigner) await this.#approve(request, asked);
  }

  async #approve(request: Request, asked: Asked): Promise<void> {
    if (refusalOf(request, asked)) return;
    const isOwn = request.spec.username === asked.commonName;
    for (const subresource of isOwn ? ['selfnodeclient', 'nodeclient'] : ['nodeclient']) {
      if (!(await this.#mayAsk(request, subresource))) continue;
      const own = subresource === 'selfnodeclient' ? 'self ' : '';
      const message = `Auto approving ${own}kubelet client certificate after SubjectAccessReview.`;
      const status = withCondition(request, { type: 'Approved', status: 'True', reason: 'AutoApproved', message });
      await unlessOutdated(this.#client.update<Request>(ref, { ...request, status }, { subresource: 'approval' }));
      return;
    }
  }

  async #mayAsk({ spec }: Request, subresource: string): Promise<boolean> {
    const { group, resource } = ref;
    const resourceAttributes = { group, resource, subresource, verb: 'create', version: '*' };
    const { username: user, uid, groups, extra } = spec;
    const review = { spec: { resourceAttributes, user, uid, groups, extra } } as KubeObject;
    const reviews = {
      group: 'authorization.k8s.io',
      version: 'v1',
      resource: 'subjectaccessreviews',
      namespaced: false,
    };
    const answer = await this.#client.create<KubeObject & { status?: { allowed?: boolean } }>(reviews, review);
    return answer.status?.allowed === true;
  }

  async #sign(request: Request, asked: Asked): Promise<void> {
    const refusal = refusalOf(request, asked);
    const status = refusal
      ? withCondition(request, { type: 'Failed', status: 'True', reason: 'SignerValidationFailure', message: refusal })
      : { ...request.status, certificate: await this.#certificateFor(request) };
    await unlessOutdated(this.#client.update<Request>(ref, { ...request, status }, { subresource: 'status' }));
  }

  async #certificateFor(request: Request): Promise<string> {
    const { usages = [], expirationSeconds } = request.spec;
    const lifetimeMs = Math.min(expirationSeconds === undefined ? longestMs : expirationSeconds * 1000, longestMs);
    return btoa(await this.#authority.sign(pemOf(request), usages, lifetimeMs));
  }
}

const pemOf = ({ spec }: Request): string => atob(spec.request);

const has = ({ status }: Request, type: string): boolean =>
  (status?.conditions ?? []).some((condition) => condition.type === type);

function withCondition({ status }: Request, condition: CertificateSigningRequestCondition): Request['status'] {
  return { ...status, conditions: [...(status?.conditions ?? []), condition] };
}

const clientUsages = ['digital signature', 'key encipherment', 'client auth'];

/** Why the signer it is for does not sign it, in kube-controller-manager's words; undefined: it does. */
export function refusalOf({ spec }: Request, { commonName, organizations = [], names }: Asked): string | undefined {
  const usages = spec.usages ?? [];
  const fits = usages.includes('client auth') && usages.every((usage) => clientUsages.includes(usage));
  if (spec.signerName === clientSigner) return fits ? undefined : 'invalid usages for kube-apiserver-client signer';
  if (organizations.length !== 1 || organizations[0] !== 'system:nodes')
    return 'subject organization is not system:nodes';
  if (!/^system:node:./.test(commonName)) return 'subject common name does not begin with system:node:';
  if (names.length > 0) return 'DNS, IP, email and URI subjectAltNames are not allowed';
  return fits && usages.includes('digital signature') ? undefined : 'usages did not match kubelet client usages';
}

/** Until the request has been there long enough: an hour once nothing more will happen to it, else a day. */
function timeLeftMs(request: Request, nowMs: number): number {
  const { metadata, status } = request;
  const times = (status?.conditions ?? []).map(({ lastUpdateTime }) => Date.parse(String(lastUpdateTime)) || 0);
  const since = Math.max(Date.parse(String(metadata?.creationTimestamp)), ...times);
  const isOver = status?.certificate || has(request, 'Denied') || has(request, 'Failed');
  return since + (isOver ? hourMs : pendingKeptMs) - nowMs;
}
