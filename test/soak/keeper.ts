/** Who looks after the archive: knows which backups there are, deletes old ones, and looks whether all is whole. */
import { call, type Operator } from './calls.ts';
import { pick } from './kind.ts';
import type { Backup, Past } from './past.ts';

export class Keeper {
  readonly #operator: Operator;
  readonly #past: Past;

  constructor(operator: Operator, past: Past) {
    this.#operator = operator;
    this.#past = past;
  }

  /** `lsn`: the primary has written so far. One that was killed at its very end is listed, too. */
  async learnMade(lsn: bigint): Promise<void> {
    const known = new Set(this.#past.backups.map(({ name }) => name));
    for (const name of await this.#listed()) {
      const timeline = Number.parseInt(name.slice('base_'.length, 'base_'.length + 8), 16);
      if (!known.has(name)) this.#past.backups.push({ name, timeline, lsn });
    }
  }

  async deleteOld(): Promise<void> {
    const { random } = this.#operator;
    const { backups } = this.#past;
    const oldest = pick(random, backups);
    const orphans = random() < 0.5 ? ['--orphans-older-than', '0'] : [];
    if (oldest === undefined || random() < 0.7) return this.retain(orphans);
    await this.#delete(['before', oldest.name, ...orphans]);
    await this.#learnDeleted('delete before', backups.slice(backups.indexOf(oldest)));
  }

  async retain(options: readonly string[], beside = async () => {}): Promise<void> {
    const keep = 1 + Math.floor(this.#operator.random() * 3);
    await Promise.all([this.#delete(['retain', String(keep), ...options]), beside()]);
    await this.#learnDeleted(`delete retain ${keep}`, this.#past.backups.slice(-keep));
  }

  /** All that is there leads somewhere. */
  async verify(): Promise<void> {
    const read = this.#operator.random() < 0.5 ? ['--read'] : [];
    const { status, stdout, stderr } = await call(this.#operator, ['wal-verify', ...read], { mortal: false });
    if (status !== 0) throw new Error(`wal-verify ${read}:\n${stdout}${stderr}`);
  }

  async #delete(words: readonly string[]): Promise<void> {
    const { status, stderr } = await call(this.#operator, ['delete', '--confirm', ...words]);
    if (status !== 0 && status !== null) throw new Error(`delete ${words.join(' ')}: ${stderr}`);
  }

  async #learnDeleted(what: string, stay: readonly Backup[]): Promise<void> {
    const listed = new Set(await this.#listed());
    const lost = stay.filter(({ name }) => !listed.has(name)).map(({ name }) => name);
    if (lost.length > 0) throw new Error(`${what} took ${lost}`);
    this.#past.backups = this.#past.backups.filter(({ name }) => listed.has(name));
  }

  /** Oldest first. */
  async #listed(): Promise<string[]> {
    const result = await call(this.#operator, ['backup-list', '--json'], { mortal: false });
    if (result.status !== 0) throw new Error(`backup-list: ${result.stderr}`);
    const all: unknown = JSON.parse(result.stdout);
    if (!Array.isArray(all)) throw new Error(`backup-list --json: ${result.stdout}`);
    return all.map(({ name }) => String(name));
  }
}
