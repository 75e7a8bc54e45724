/** Words that other command lines have for what is said differently here: what to type instead. */
import { Failure } from './failure.ts';

const removed = './sampan rm NAME ends it and releases its VM';
const once = './sampan rm NAME, then ./sampan run again; kubectl create deployment keeps one running';
const built = 'build and name it elsewhere, such as with docker or podman, then ./sampan image import';
const kubectl = (word: string): string => `export KUBECONFIG=$(./sampan kubeconfig); kubectl ${word}`;

const ways: Record<string, string> = {
  images: './sampan image ls',
  pull: './sampan image pull IMAGE',
  rmi: './sampan image rm IMAGE',
  load: './sampan image import ARCHIVE',
  import: './sampan image import ARCHIVE',
  login: 'give credentials with the pull: ./sampan image pull --user NAME IMAGE',
  build: built,
  tag: built,
  push: built,
  list: './sampan ps',
  ls: './sampan ps',
  stop: `${removed}; ./sampan down stops the platform`,
  kill: `${removed}, with -f at once`,
  start: `./sampan up starts the platform; for a Pod: ${once}`,
  restart: once,
  inspect: `./sampan ps -o yaml, or ${kubectl('describe pod NAME')}`,
  attach: kubectl('attach -it NAME'),
  cp: kubectl('cp FILE NAME:/tmp/FILE'),
  port: './sampan run -p 8080:80 gives a Pod a port of this host',
  'port-forward': kubectl('port-forward pod/NAME 8080:80'),
  stats: kubectl('top pod'),
  top: kubectl('top pod'),
  events: kubectl('get events'),
  get: kubectl('get pods'),
  describe: kubectl('describe pod NAME'),
  apply: kubectl('apply -f FILE'),
  create: kubectl('create -f FILE'),
  delete: `./sampan rm NAME, or ${kubectl('delete pod NAME')}`,
  scale: kubectl('scale deployment/NAME --replicas 2'),
  version: './sampan --version',
};

/** Throws when `word`, the first on the command line, is one of those. */
export function refuseOtherWord(word: string | undefined): void {
  const mend = word !== undefined && Object.hasOwn(ways, word) ? ways[word] : undefined;
  if (mend) throw new Failure(`there is no command "${word}"`, { why: 'it goes by another name here', mend });
}
