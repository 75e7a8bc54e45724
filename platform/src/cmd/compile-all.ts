/** Loads whatever a server may load, and ends: Node keeps what it compiled for the server that comes after (cli/src/setup/compile-server.ts). */
import '../apiserver/pki/make-certificates.ts';
import '../store/etcd/etcd-store.ts';
import './platform.ts';
