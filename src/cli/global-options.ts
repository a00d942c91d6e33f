/** The options that stand before the verb (after it too). Order and wording follow the original where it has them. */
import { flag, text } from './option.ts';

export const globalOptions = {
  awsAccessKeyId: text(
    'AWS_ACCESS_KEY_ID',
    'access key of the S3 store; over the variable AWS_ACCESS_KEY_ID',
    'k',
  ),
  awsInstanceProfile: flag('use the credentials of the EC2 instance profile'),
  gsAccessKeyId: text(
    'GS_ACCESS_KEY_ID',
    'accepted as in the original; Google Cloud Storage is not supported',
  ),
  wabsAccountName: text('WABS_ACCOUNT_NAME', 'accepted as in the original; Azure is not supported', 'a'),
  s3Prefix: text('URL', 'where the archive is: s3://bucket/path; over WALE_S3_PREFIX'),
  wabsPrefix: text('URL', 'as WALE_WABS_PREFIX; Azure is not supported'),
  gsPrefix: text('URL', 'as WALE_GS_PREFIX; Google Cloud Storage is not supported'),
  filePrefix: text('URL', 'where the archive is: file://localhost/path; over WALE_FILE_PREFIX'),
  gpgKeyId: text('GPG_KEY_ID', 'encrypt to this key with gpg; over WALE_GPG_KEY_ID'),
  terse: flag('log warnings and errors only'),
  envdir: text('DIR', 'read variables from the files of DIR, as daemontools envdir does'),
  help: flag('show help and exit', 'h'),
  version: flag('show the version and exit'),
} as const;

/** Pairs that exclude each other, as in the original. */
export const globalConflicts = [['awsAccessKeyId', 'awsInstanceProfile']] as const;
