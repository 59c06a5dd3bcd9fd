/** A certificate authority made by the openssl command line, whose certificates may live for seconds. */

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const CONFIG = `
[ca]
default_ca = this
[this]
dir = .
database = $dir/index.txt
serial = $dir/serial
new_certs_dir = $dir
certificate = $dir/ca.pem
private_key = $dir/ca.key
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
`;

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const SECOND_MS = 1_000;
const HOUR_MS = 3_600 * SECOND_MS;

export interface Validity {
  /** Default: an hour ago, in milliseconds since 1970. */
  readonly from?: number;
  /** Default: in an hour. */
  readonly until?: number;
}

export interface Issued {
  readonly certPath: string;
  readonly keyPath: string;
}

/** As openssl wants it: 20301231235959Z. */
const openSslTime = (timeMs: number): string => new Date(timeMs).toISOString().replace(/[-:T]|\.\d+/g, '');

export class Authority {
  readonly #directory = mkdtempSync(path.join(tmpdir(), 'authz-chaos-ca-'));
  #count = 0;

  constructor(name: string) {
    writeFileSync(this.#path('ca.cnf'), CONFIG);
    writeFileSync(this.#path('index.txt'), '');
    writeFileSync(this.#path('serial'), '1000\n');
    this.#openssl(
      'req',
      '-x509',
      ...NEW_KEY,
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-subj',
      `/CN=${name}`,
      '-days',
      '2',
    );
  }

  get caPath(): string {
    return this.#path('ca.pem');
  }

  /** @param names such as `IP:127.0.0.1,DNS:localhost` */
  issue(names: string, { from = Date.now() - HOUR_MS, until = Date.now() + HOUR_MS }: Validity = {}): Issued {
    this.#count += 1;
    const [key, csr, cert] = ['key', 'csr', 'pem'].map((ending) => `${this.#count}.${ending}`) as [
      string,
      string,
      string,
    ];
    const subject = ['-subj', `/CN=chaos ${this.#count}`, '-addext', `subjectAltName=${names}`];
    this.#openssl('req', '-new', ...NEW_KEY, '-keyout', key, '-out', csr, ...subject);
    const dates = ['-startdate', openSslTime(from), '-enddate', openSslTime(until)];
    this.#openssl('ca', '-batch', '-notext', '-config', 'ca.cnf', '-in', csr, '-out', cert, ...dates);
    return { certPath: this.#path(cert), keyPath: this.#path(key) };
  }

  destroy(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #path(name: string): string {
    return path.join(this.#directory, name);
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.#directory, stdio: 'pipe' });
  }
}

/** The files that a deployment mounts: their content changes, their paths do not. */
export class Mounted {
  readonly #directory = mkdtempSync(path.join(tmpdir(), 'authz-chaos-tls-'));
  readonly certPath = path.join(this.#directory, 'cert.pem');
  readonly keyPath = path.join(this.#directory, 'key.pem');
  readonly caPath = path.join(this.#directory, 'ca.pem');

  constructor(issued: Issued, ...authorities: Authority[]) {
    this.renew(issued);
    this.trust(...authorities);
  }

  renew({ certPath, keyPath }: Issued): void {
    this.#replace(this.certPath, certPath);
    this.#replace(this.keyPath, keyPath);
  }

  trust(...authorities: Authority[]): void {
    const next = `${this.caPath}.next`;
    writeFileSync(next, authorities.map(({ caPath }) => readFileSync(caPath, 'utf8')).join('\n'));
    renameSync(next, this.caPath);
  }

  destroy(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #replace(file: string, by: string): void {
    copyFileSync(by, `${file}.next`);
    renameSync(`${file}.next`, file);
  }
}
