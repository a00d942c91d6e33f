/** A throwaway keyring: the user's own is never touched, and no agent outlives the test. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Fingerprint of the golden archive's key (fixtures/golden/gpg). */
export const GOLDEN_KEY = 'DF1F2487F3D6D6BE9A0E89CD4A52A527873062F0';
export const GOLDEN_GPG = fileURLToPath(new URL('../../fixtures/golden/gpg/', import.meta.url));

export interface Keyring {
  /** Set as GNUPGHOME. */
  readonly home: string;
  gpg(args: readonly string[], input?: string | Uint8Array): Buffer;
  dispose(): void;
}

/** `secret`: with the golden key's secret half; `public`: only its public half; `empty`: no keys. */
export function createKeyring(content: 'secret' | 'public' | 'empty'): Keyring {
  // The agent's socket path must fit 107 bytes, so the directory is made directly under the temporary directory.
  const home = mkdtempSync(join(tmpdir(), 'wale-gpg-'));
  const environment = { ...process.env, GNUPGHOME: home };
  const gpg = (args: readonly string[], input?: string | Uint8Array) =>
    execFileSync('gpg', ['--batch', '-q', ...args], {
      env: environment,
      input: input ?? '',
      stdio: ['pipe', 'pipe', 'pipe'],
      maxBuffer: 1 << 28,
    });
  if (content !== 'empty') {
    gpg(['--import', join(GOLDEN_GPG, `${content}-key.asc`)]);
    gpg(['--import-ownertrust'], `${GOLDEN_KEY}:6:\n`);
  }
  const dispose = () => {
    execFileSync('gpgconf', ['--homedir', home, '--kill', 'all'], { stdio: 'ignore' });
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  };
  return { home, gpg, dispose };
}

export function hasGpg(): boolean {
  try {
    execFileSync('gpg', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
