/** Whether an archived object holds what a file holds, byte by byte, without a copy of either in memory. */
import { LzopDecoder } from '../codec/decoder.ts';
import { decryptIfEncrypted } from '../crypt/gpg.ts';
import type { FoundObject } from '../store/store.ts';
import { OpenWalFile, type WalFile } from './wal-file.ts';

/** Throws DataError when the object is damaged, UserError when it cannot be decrypted here. */
export async function holdsSameContent(
  object: FoundObject,
  file: WalFile,
  signal: AbortSignal,
): Promise<boolean> {
  const open = new OpenWalFile(file);
  try {
    const decoder = new LzopDecoder();
    let compared = 0;
    for await (const chunk of decryptIfEncrypted(object.body, { signal })) {
      for (const plain of decoder.pushViews(chunk)) {
        const own = Buffer.allocUnsafe(plain.length);
        if (open.read(own) !== plain.length || !own.equals(plain)) return false;
        compared += plain.length;
      }
    }
    decoder.end();
    return compared === file.size;
  } finally {
    open.close();
  }
}
