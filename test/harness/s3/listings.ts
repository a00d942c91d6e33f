/** ListObjectsV2, ListMultipartUploads and DeleteObjects, at most 1000 entries each. */
import type { Bucket } from './bucket.ts';
import type { Habits } from './habits.ts';
import { checkDigest } from './objects.ts';
import { type Answer, element, elementOf, header, type Received, Refused, xml } from './request.ts';

const PAGE = 1000;

export function listObjects(bucket: Bucket, request: Received): Answer {
  const { query } = request;
  if (query.get('list-type') !== '2' || query.has('delimiter')) throw new Refused(501, 'NotImplemented');
  const prefix = query.get('prefix') ?? '';
  const token = query.get('continuation-token');
  const after = token === undefined ? query.get('start-after') : Buffer.from(token, 'base64url').toString();
  const limit = Math.min(Number(query.get('max-keys') ?? PAGE), PAGE);
  const keys = bucket.keys();
  let index = firstFrom(keys, Buffer.from(prefix));
  if (after !== undefined) index = Math.max(index, firstFrom(keys, Buffer.from(after)));
  if (after !== undefined && keys[index] === after) index += 1;
  const page: string[] = [];
  for (; page.length < limit && keys[index]?.startsWith(prefix) === true; index += 1)
    page.push(keys[index] ?? '');
  const more = keys[index]?.startsWith(prefix) === true;
  const write = keyWriter(request);
  const contents = page.map((key) => {
    const object = bucket.get(key);
    const fields =
      element('Key', write(key)) +
      element('LastModified', object?.modified.toISOString() ?? '') +
      element('ETag', `"${object?.etag}"`) +
      element('Size', object?.size ?? 0) +
      element('StorageClass', object?.headers['x-amz-storage-class'] ?? 'STANDARD');
    return `<Contents>${fields}</Contents>`;
  });
  const next = more
    ? element('NextContinuationToken', Buffer.from(page.at(-1) ?? '').toString('base64url'))
    : '';
  const content =
    element('Name', request.bucket) + encodingType(request) + element('IsTruncated', more) + next;
  return { status: 200, body: xml('ListBucketResult', content + contents.join('')) };
}

/** Index of the first key that is not before `from`, by bytes. */
function firstFrom(keys: readonly string[], from: Buffer): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Buffer.compare(Buffer.from(keys[middle] ?? ''), from) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function listUploads(bucket: Bucket, request: Received): Answer {
  const prefix = request.query.get('prefix') ?? '';
  const keyMarker = request.query.get('key-marker') ?? '';
  const idMarker = request.query.get('upload-id-marker') ?? '';
  const all = [...bucket.uploads.values()]
    .filter((upload) => upload.key.startsWith(prefix))
    .filter((upload) => upload.key > keyMarker || (upload.key === keyMarker && upload.id > idMarker))
    .sort((a, b) => (a.key === b.key ? (a.id < b.id ? -1 : 1) : a.key < b.key ? -1 : 1));
  const page = all.slice(0, PAGE);
  const more = all.length > page.length;
  const write = keyWriter(request);
  const last = page.at(-1);
  const next =
    more && last !== undefined
      ? element('NextKeyMarker', write(last.key)) + element('NextUploadIdMarker', last.id)
      : '';
  const uploads = page.map(
    ({ key, id, started }) =>
      `<Upload>${element('Key', write(key))}${element('UploadId', id)}${element('Initiated', started.toISOString())}</Upload>`,
  );
  const content = encodingType(request) + element('IsTruncated', more) + next + uploads.join('');
  return { status: 200, body: xml('ListMultipartUploadsResult', content) };
}

export function deleteObjects(
  bucket: Bucket,
  habits: Habits,
  request: Received,
  refusal: (key: string) => Refused | undefined,
): Answer {
  const checked =
    header(request, 'content-md5') !== undefined || header(request, 'x-amz-checksum-crc32') !== undefined;
  checkDigest(request, habits.deleteNeedsMd5 || !checked);
  const document = Buffer.concat(request.body).toString();
  if (/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.test(document))
    throw new Refused(400, 'MalformedXML');
  const keys = [...document.matchAll(/<Object>(.*?)<\/Object>/gs)].map(
    (match) => elementOf(match[1] ?? '', 'Key') ?? '',
  );
  if (keys.length === 0 || keys.length > PAGE) throw new Refused(400, 'MalformedXML');
  const errors = keys.flatMap((key) => {
    const refused = refusal(key);
    if (refused === undefined) {
      bucket.delete(key);
      return [];
    }
    return [
      `<Error>${element('Key', key)}${element('Code', refused.code)}${element('Message', refused.message)}</Error>`,
    ];
  });
  return { status: 200, body: xml('DeleteResult', errors.join('')) };
}

function keyWriter(request: Received): (key: string) => string {
  if (request.query.get('encoding-type') !== 'url') return (key) => key;
  return (key) => encodeURIComponent(key).replace(/%20/g, '+').replace(/%2F/g, '/');
}

function encodingType(request: Received): string {
  return request.query.get('encoding-type') === 'url' ? element('EncodingType', 'url') : '';
}
