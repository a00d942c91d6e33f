// The test suite's S3 server from the command line, for benchmarks and for trying things out:
//
//     node test/harness/s3/run.mjs [--port N] [--habits amazon|ceph|swift|poorest] [--etag md5|opaque]
//
// prints the environment for wal-e as KEY=VALUE lines, then serves until it is stopped. Objects are kept in memory.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    habits: { type: 'string', default: 'amazon' },
    // Opaque ones cost nothing: an answer comes at once.
    etag: { type: 'string', default: 'md5' },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'wale-s3-server-'));
const load = async (name) => {
  const outfile = join(folder, `${name}.mjs`);
  const entry = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  });
  return import(pathToFileURL(outfile).href);
};
const { createS3Server, TEST_BUCKET } = await load('server');
const habits = (await load('habits'))[values.habits.toUpperCase()];
rmSync(folder, { recursive: true });
if (habits === undefined) throw new Error(`no habits named ${values.habits}`);

const server = await createS3Server({ port: Number(values.port), habits: { ...habits, etag: values.etag } });
process.stdout.write(
  [
    `WALE_S3_PREFIX=s3://${TEST_BUCKET}/prefix`,
    `WALE_S3_ENDPOINT=${server.url.replace('://', '+path://')}`,
    `AWS_ACCESS_KEY_ID=${server.account.accessKeyId}`,
    `AWS_SECRET_ACCESS_KEY=${server.account.secretAccessKey}`,
    'AWS_REGION=us-east-1',
    '',
  ].join('\n'),
);
for (const name of ['SIGINT', 'SIGTERM'])
  process.once(name, () => server.close().then(() => process.exit(0)));
