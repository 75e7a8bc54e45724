import assert from 'node:assert/strict';
import { it } from 'node:test';
import { admitted, created, updated } from '../kind-fixtures.ts';
import { ingressKind } from './ingress.ts';
import { ingressClassKind } from './ingress-class.ts';
import { networkPolicyKind } from './network-policy.ts';

it('a NetworkPolicy is about what its rules are about, and its peers and ports make sense', () => {
  const types = (spec: object) => admitted(networkPolicyKind, { spec }).spec.policyTypes;
  assert.deepEqual(types({ podSelector: {} }), ['Ingress']);
  assert.deepEqual(types({ podSelector: {}, egress: [{}] }), ['Ingress', 'Egress']);
  const ingress = (rule: object) => created(networkPolicyKind, { spec: { podSelector: {}, ingress: [rule] } });
  assert.deepEqual(ingress({ ports: [{ port: 80, endPort: 90 }], from: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }), []);
  assert.match(
    ingress({ ports: [{ port: 'web', endPort: 90 }] })[0]!,
    /may not be specified when `port` is non-numeric/,
  );
  assert.match(ingress({ ports: [{ port: 90, endPort: 80 }] })[0]!, /greater than or equal to `port`/);
  assert.match(ingress({ from: [{}] })[0]!, /must specify a peer/);
  assert.match(ingress({ from: [{ ipBlock: { cidr: '10.0.0.0' } }] })[0]!, /must be a valid CIDR value/);
});

it('an Ingress leads somewhere: backends, hosts and paths are checked', () => {
  const backend = { service: { name: 'web', port: { number: 80 } } };
  const rule = (path: object, host = 'a.example') => ({
    spec: { rules: [{ host, http: { paths: [{ pathType: 'Prefix', backend, path: '/', ...path }] } }] },
  });
  assert.deepEqual(created(ingressKind, rule({})), []);
  assert.match(created(ingressKind, { spec: {} })[0]!, /either `defaultBackend` or `rules` must be specified/);
  assert.match(created(ingressKind, rule({ path: 'x' }))[0]!, /must be an absolute path/);
  assert.match(created(ingressKind, rule({ path: '/a/../b' }))[0]!, /must not contain '\/\.\.\/'/);
  assert.match(
    created(ingressKind, rule({ backend: { service: { name: 'web' } } }))[0]!,
    /port name or number is required/,
  );
  assert.match(created(ingressKind, rule({}, '10.0.0.1'))[0]!, /must be a DNS name, not an IP address/);
  assert.deepEqual(created(ingressKind, rule({}, '*.a.example')), []);
});

it('an IngressClass keeps its controller', () => {
  const old = admitted(ingressClassKind, { spec: { controller: 'example.com/a' } });
  const { problems } = updated(ingressClassKind, old, ({ spec }) =>
    Object.assign(spec, { controller: 'example.com/b' }),
  );
  assert.match(problems[0]!, /spec.controller: .*field is immutable/);
  assert.match(created(ingressClassKind, { spec: { controller: 'a' } })[0]!, /must be a domain-prefixed path/);
});
