/** The policies of docs/s3-permissions.md against a store that enforces them as Amazon does. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { permissionsContract } from '../contract/permissions.ts';
import { runProgram } from '../harness/program.ts';
import { createS3Server, type S3Server } from '../harness/s3/server.ts';
import { createScratch } from '../harness/scratch.ts';

function accountOf(server: S3Server): Record<string, string> {
  return {
    WALE_S3_ENDPOINT: `http+path://127.0.0.1:${server.port}`,
    AWS_ACCESS_KEY_ID: server.account.accessKeyId,
    AWS_SECRET_ACCESS_KEY: server.account.secretAccessKey,
  };
}

permissionsContract("the tests' own store", { conditions: true }, async () => {
  const server = await createS3Server({ buckets: ['my-bucket'] });
  return {
    environment: accountOf(server),
    give: async (policy) => {
      server.policy = policy;
    },
    close: () => server.close(),
  };
});

test('without the right to list, an answer that names that right stands for a missing segment', async () => {
  const server = await createS3Server({ buckets: ['my-bucket'] });
  server.policy = [{ Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::my-bucket/*' }];
  try {
    const environment = { ...accountOf(server), NO_PROXY: '127.0.0.1', WALE_S3_PREFIX: 's3://my-bucket/x' };
    const to = join(createScratch(), 'to');
    const args = ['wal-fetch', '-p', '0', '000000090000000000000002', to];
    expect((await runProgram(args, { environment })).status).toBe(1);
  } finally {
    await server.close();
  }
});
