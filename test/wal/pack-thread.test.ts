import { expect, it } from 'vitest';
import { PackThread } from '../../src/wal/pack-thread.ts';
import type { WalFile } from '../../src/wal/wal-file.ts';

it('an order that comes after the end of the thread fails, and nobody waits for it', async () => {
  const name = '000000010000000000000001';
  const file: WalFile = { path: name, name, kind: 'segment', size: 1, mode: 0o600, mtimeNs: 0n, inode: 0n };
  const thread = new PackThread();
  await thread.close();
  await expect(thread.pack(file, [])).rejects.toThrow('the thread that packs ended');
});
