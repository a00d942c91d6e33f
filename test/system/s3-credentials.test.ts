/** Where keys come from when none are set, by the program as it is installed, with the services that clouds have on loopback. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMetadataServer, type MetadataServer } from '../harness/metadata-server.ts';
import { type ProgramResult, runProgram } from '../harness/program.ts';
import { createS3Server, type S3Server, TEST_BUCKET } from '../harness/s3/server.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';

const HOMELESS = fileURLToPath(new URL('../harness/homeless.cjs', import.meta.url));
const KEYS = { accessKeyId: 'ASIATEMPORARY', secretAccessKey: 'temporary/secret', token: 'temporary/token=' };
const SEGMENT = '000000010000000000000003';
const ROLES = '/latest/meta-data/iam/security-credentials/';
const IMDS_V2 = ['PUT /latest/api/token', `GET ${ROLES}`, `GET ${ROLES}archiver-role`];

let metadata: MetadataServer;
let server: S3Server;
let home: string;
let segment: string;
beforeEach(async () => {
  metadata = await createMetadataServer(KEYS);
  server = await createS3Server({ accounts: [{ ...KEYS, sessionToken: KEYS.token }] });
  home = createScratch();
  segment = join(home, SEGMENT);
  writeFileSync(segment, segmentBytes(SEGMENT, 1024 * 1024, 1));
});
afterEach(async () => {
  await server.close();
  await metadata.close();
});

function base(): Record<string, string> {
  return {
    HOME: home,
    WALE_S3_PREFIX: `s3://${TEST_BUCKET}/some/prefix`,
    WALE_S3_ENDPOINT: server.url,
    WALE_S3_CONDITIONAL_PUT: 'true',
    AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url,
    WALE_RETRIES: '2',
  };
}

function push(environment: Record<string, string>, ...options: string[]): Promise<ProgramResult> {
  return runProgram([...options, 'wal-push', segment], { environment: { ...base(), ...environment } });
}

/** One put, signed with the keys that were found; and not a line in the log that is not ours. */
async function archives(environment: Record<string, string>, ...options: string[]): Promise<void> {
  const { status, stderr } = await push(environment, ...options);
  expect(status, stderr).toBe(0);
  expect(server.log.map((line) => line.replace(/^(\S+).* (\d+)$/, '$1 $2'))).toEqual(['PUT 200']);
  expectOnlyOurs(stderr);
}

/** The SDK's notices, Node's warnings: PostgreSQL would write them to its log for every segment. */
function expectOnlyOurs(stderr: string): void {
  const foreign = stderr
    .split('\n')
    .filter((line) => !/^(|wal_e\S* +[A-Z]+ +MSG: .*| {8}(DETAIL|HINT|STRUCTURED): .*)$/.test(line));
  expect(foreign).toEqual([]);
  expect(stderr).not.toContain(KEYS.secretAccessKey);
  expect(stderr).not.toContain(KEYS.token);
}

describe('the instance profile (IMDSv2)', () => {
  it.each([
    ['AWS_INSTANCE_PROFILE=true', { AWS_INSTANCE_PROFILE: 'true' }, []],
    ['--aws-instance-profile', {}, ['--aws-instance-profile']],
  ] as const)('by %s: a session, the role, its keys', async (_, environment, options) => {
    await archives({ ...environment }, ...options);
    expect(metadata.asked).toEqual(IMDS_V2);
  });

  it('is asked also for a user without a home, whom the system does not know', () =>
    archives({ AWS_INSTANCE_PROFILE: 'true', HOME: '', NODE_OPTIONS: `--require ${HOMELESS}` }));

  it('is asked once by a command that makes many requests', async () => {
    await archives({ AWS_INSTANCE_PROFILE: '1' });
    metadata.asked.splice(0);
    const { status, stderr } = await runProgram(['backup-list'], {
      environment: { ...base(), AWS_INSTANCE_PROFILE: 'true' },
    });
    expect(status, stderr).toBe(0);
    expectOnlyOurs(stderr);
    expect(metadata.asked).toEqual(IMDS_V2);
  });

  it('that is not there is said, with what to set instead, and nothing is asked of the store', async () => {
    await metadata.close();
    const { status, stderr } = await push({ AWS_INSTANCE_PROFILE: 'true' });
    metadata = await createMetadataServer(KEYS);
    expect(status).toBe(1);
    expect(stderr).toContain("ERROR    MSG: the machine's instance profile gives no credentials\n");
    expect(stderr).toContain('AWS_ACCESS_KEY_ID');
    expectOnlyOurs(stderr);
    expect(server.log).toEqual([]);
  });
});

describe('where no key is given', () => {
  it('a web identity, also of a user without a home, whom the system does not know', async () => {
    const file = join(home, 'token');
    writeFileSync(file, 'identity');
    await archives({
      HOME: '',
      NODE_OPTIONS: `--require ${HOMELESS}`,
      AWS_WEB_IDENTITY_TOKEN_FILE: file,
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/archiver',
      AWS_ENDPOINT_URL_STS: metadata.url,
    });
  });

  it('a profile of the file of credentials, chosen by AWS_PROFILE', async () => {
    const file = join(home, 'credentials');
    const keys = `aws_access_key_id=${KEYS.accessKeyId}\naws_secret_access_key=${KEYS.secretAccessKey}\n`;
    writeFileSync(
      file,
      `[default]\naws_access_key_id=WRONG\naws_secret_access_key=wrong\n
[archiver]\n${keys}aws_session_token=${KEYS.token}\n`,
    );
    await archives({ AWS_SHARED_CREDENTIALS_FILE: file, AWS_PROFILE: 'archiver' });
    expect(metadata.asked).toEqual([]);
  });

  it('the default profile, in the home folder', async () => {
    mkdirSync(join(home, '.aws'));
    const keys = `aws_access_key_id=${KEYS.accessKeyId}\naws_secret_access_key=${KEYS.secretAccessKey}\n`;
    writeFileSync(join(home, '.aws', 'credentials'), `[default]\n${keys}aws_session_token=${KEYS.token}\n`);
    await archives({});
  });

  it('a profile of the file of configuration whose keys a program tells', async () => {
    const teller = join(home, 'teller');
    const document = { Version: 1, AccessKeyId: KEYS.accessKeyId, SecretAccessKey: KEYS.secretAccessKey };
    writeFileSync(join(home, 'keys.json'), JSON.stringify({ ...document, SessionToken: KEYS.token }));
    writeFileSync(teller, `#!/bin/sh\ncat ${join(home, 'keys.json')}\n`, { mode: 0o755 });
    const file = join(home, 'config');
    writeFileSync(file, `[profile archiver]\ncredential_process = ${teller}\n`);
    await archives({ AWS_CONFIG_FILE: file, AWS_PROFILE: 'archiver' });
  });

  it("a container's credentials, with the token of the environment or of a file", async () => {
    const container = { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${metadata.url}/container` };
    await archives({ ...container, AWS_CONTAINER_AUTHORIZATION_TOKEN: 'container-secret' });
    const file = join(home, 'token');
    writeFileSync(file, 'container-secret');
    server.bucket.delete(`some/prefix/wal_005/${SEGMENT}.lzo`);
    server.forgetLog();
    await archives({ ...container, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file });
    expect(metadata.asked).toEqual(['GET /container', 'GET /container']);
  });

  // Without a region, and with settings that it cannot use, the SDK has something to say.
  it.each([{ AWS_REGION: 'us-east-1' }, {}, { AWS_MAX_ATTEMPTS: 'many' }])(
    'a web identity: %s',
    async (region) => {
      const file = join(home, 'identity');
      writeFileSync(file, 'identity');
      await archives({
        ...region,
        AWS_WEB_IDENTITY_TOKEN_FILE: file,
        AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/archiver',
        AWS_ENDPOINT_URL_STS: metadata.url,
      });
      expect(metadata.asked).toEqual(['POST /']);
    },
  );

  it('the instance profile, in the end', async () => {
    await archives({});
    expect(metadata.asked).toEqual(IMDS_V2);
  });

  it('the same where the variables are in an envdir', async () => {
    const envdir = join(home, 'env');
    mkdirSync(envdir);
    writeFileSync(join(envdir, 'AWS_CONTAINER_CREDENTIALS_FULL_URI'), `${metadata.url}/container`);
    writeFileSync(join(envdir, 'AWS_CONTAINER_AUTHORIZATION_TOKEN'), 'container-secret');
    await archives({}, '--envdir', envdir);
    expect(metadata.asked).toEqual(['GET /container']);
  });

  it('nothing, which is said before anything is asked of the store', async () => {
    const { status, stderr } = await push({ AWS_EC2_METADATA_DISABLED: 'true' });
    expect(status).toBe(1);
    expect(stderr).toContain('ERROR    MSG: no AWS credentials were found\n');
    expect(stderr).toContain('AWS_ACCESS_KEY_ID');
    expectOnlyOurs(stderr);
    expect(server.log).toEqual([]);
  });
});
