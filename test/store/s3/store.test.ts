import { storeContract } from '../../contract/store.ts';
import { AMAZON, CEPH, type Habits, POOREST, SWIFT } from '../../harness/s3/habits.ts';
import { createS3Server } from '../../harness/s3/server.ts';
import { openTestStore } from '../../harness/s3/store.ts';

const KINDS: Record<string, Habits> = {
  Amazon: AMAZON,
  Ceph: CEPH,
  Swift: SWIFT,
  'the poorest work-alike': POOREST,
  'a store that makes ETags in its own way': { ...CEPH, compositeEtag: 'otherwise', completeEtag: 'given' },
  'a store whose ETags are no digests': { ...CEPH, etag: 'opaque', completeEtag: 'given' },
};

for (const [name, habits] of Object.entries(KINDS)) {
  storeContract(`S3, with the habits of ${name}`, async () => {
    const server = await createS3Server({ habits });
    const store = openTestStore(server.url);
    return {
      store,
      close: async () => {
        await store.close();
        await server.close();
      },
    };
  });
}
