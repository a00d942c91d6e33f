// A file system in user space that shows a folder, and answers as its rules say (see fuse.ts).
// Usage: server.mjs FOLDER RULES-FILE; descriptor 3 is /dev/fuse. Each request is answered in its turn, but for those that wait.
import * as fs from 'node:fs';
import { constants } from 'node:os';
import {
  answer,
  attributesBody,
  entryBody,
  folderBody,
  initBody,
  MOST_WRITE_BYTES,
  openBody,
  readRequest,
  sizeBody,
  statfsBody,
  text,
} from './protocol.mjs';

const [root, rulesPath] = process.argv.slice(2);
const DEVICE = 3;
const UNANSWERED = new Set(['forget', 'batch_forget', 'interrupt', 'destroy']);
/** Where the name begins in the body of a request that has one. */
const NAME_AT = {
  lookup: 0,
  unlink: 0,
  rmdir: 0,
  symlink: 0,
  mkdir: 8,
  link: 8,
  rename: 8,
  rename2: 16,
  create: 16,
};
const BIG = { bigint: true };

const paths = new Map([[1, '']]);
const nodes = new Map([['', 1]]);
/** Open files (descriptors) and folders (entries) by their handle. */
const handles = new Map();
let last = 1;

const pathOf = (node) => root + paths.get(node);
const childOf = (node, body, start) => `${paths.get(node)}/${text(body, start)}`;
const handleOf = (body) => handles.get(Number(body.readBigUInt64LE(0)));

function nodeOf(path) {
  const known = nodes.get(path);
  if (known !== undefined) return known;
  last += 1;
  nodes.set(path, last);
  paths.set(last, path);
  return last;
}

function addHandle(value) {
  last += 1;
  handles.set(last, value);
  return openBody(last);
}

const entry = (path) => entryBody(nodeOf(path), fs.lstatSync(root + path, BIG));

/** What was at `from` and below is at `to` now; nobody keeps what was there. */
function move(from, to) {
  for (const [path, node] of [...nodes]) {
    if (path === to) nodes.delete(path);
    if (path !== from && !path.startsWith(`${from}/`)) continue;
    nodes.delete(path);
    nodes.set(to + path.slice(from.length), node);
    paths.set(node, to + path.slice(from.length));
  }
}

function rename({ node, body }, start) {
  const from = childOf(node, body, start);
  const to = childOf(Number(body.readBigUInt64LE(0)), body, body.indexOf(0, start) + 1);
  fs.renameSync(root + from, root + to);
  move(from, to);
}

function remove(path, call) {
  call(root + path);
  nodes.delete(path);
}

const answers = {
  init: () => initBody(),
  lookup: ({ node, body }) => entry(childOf(node, body, 0)),
  getattr({ node, body }) {
    // With a handle: of a file that may have no name any more.
    const descriptor = body.readUInt32LE(0) & 1 ? handles.get(Number(body.readBigUInt64LE(8))) : undefined;
    return attributesBody(
      typeof descriptor === 'number' ? fs.fstatSync(descriptor, BIG) : fs.lstatSync(pathOf(node), BIG),
    );
  },
  setattr({ node, body }) {
    const valid = body.readUInt32LE(0);
    if (valid & 1) fs.chmodSync(pathOf(node), body.readUInt32LE(68) & 0o7777);
    if (valid & 8) fs.truncateSync(pathOf(node), Number(body.readBigUInt64LE(16)));
    return attributesBody(fs.lstatSync(pathOf(node), BIG));
  },
  mkdir({ node, body }) {
    const path = childOf(node, body, 8);
    fs.mkdirSync(root + path, body.readUInt32LE(0) & 0o7777);
    return entry(path);
  },
  unlink: ({ node, body }) => remove(childOf(node, body, 0), fs.unlinkSync),
  rmdir: ({ node, body }) => remove(childOf(node, body, 0), fs.rmdirSync),
  rename: (request) => rename(request, 8),
  rename2: (request) => rename(request, 16),
  link({ node, body }) {
    const path = childOf(node, body, 8);
    fs.linkSync(pathOf(Number(body.readBigUInt64LE(0))), root + path);
    return entry(path);
  },
  open: ({ node, body }) => addHandle(fs.openSync(pathOf(node), body.readUInt32LE(0) & 3)),
  create({ node, body }) {
    const path = childOf(node, body, 16);
    const flags = fs.constants.O_CREAT | fs.constants.O_EXCL | (body.readUInt32LE(0) & 3);
    const opened = addHandle(fs.openSync(root + path, flags, body.readUInt32LE(4) & 0o7777));
    return Buffer.concat([entry(path), opened]);
  },
  read({ body }) {
    const into = Buffer.alloc(body.readUInt32LE(16));
    const length = fs.readSync(handleOf(body), into, 0, into.length, Number(body.readBigUInt64LE(8)));
    return into.subarray(0, length);
  },
  write({ body }) {
    const size = body.readUInt32LE(16);
    fs.writeSync(handleOf(body), body, 40, size, Number(body.readBigUInt64LE(8)));
    return sizeBody(size);
  },
  statfs: () => statfsBody(fs.statfsSync(root, BIG)),
  flush: () => undefined,
  fsync: () => undefined,
  fsyncdir: () => undefined,
  release({ body }) {
    fs.closeSync(handleOf(body));
    handles.delete(Number(body.readBigUInt64LE(0)));
  },
  opendir({ node }, { untyped = Number.POSITIVE_INFINITY }) {
    const entries = fs.readdirSync(pathOf(node), { withFileTypes: true });
    const type = (one) => (one.isDirectory() ? 4 : 8);
    return addHandle(entries.map((one, index) => [one.name, 1, index < untyped ? type(one) : 0]));
  },
  readdir({ body }) {
    return folderBody(handleOf(body), Number(body.readBigUInt64LE(8)), body.readUInt32LE(16));
  },
  releasedir({ body }) {
    handles.delete(Number(body.readBigUInt64LE(0)));
  },
};

/** What was asked for since the rules were written. */
const asked = { number: 0, operations: new Set() };

/** The first rule for this operation on this path; read anew each time, so that a new one holds from now on. */
function ruleFor({ operation, node, body }) {
  const at = NAME_AT[operation];
  const path = at === undefined ? paths.get(node) : childOf(node, body, at);
  const { number, rules } = JSON.parse(fs.readFileSync(rulesPath, 'utf8'));
  if (number !== asked.number) Object.assign(asked, { number, operations: new Set() });
  asked.operations.add(operation);
  const holding = rules.filter((rule) => !asked.operations.has(rule.until));
  return holding.find((rule) => rule.operation === operation && path.includes(rule.path ?? '')) ?? {};
}

function respond({ operation, unique, ...request }, rule) {
  const { errno } = rule;
  let bytes;
  try {
    if (rule.done) answers[operation](request, rule);
    if (errno !== undefined) throw Object.assign(new Error(errno), { code: errno });
    const answering = answers[operation];
    if (answering === undefined) throw Object.assign(new Error(operation), { code: 'ENOSYS' });
    bytes = answer(unique, 0, answering(request, rule) ?? Buffer.alloc(0));
  } catch (error) {
    const number = constants.errno[error.code];
    if (number === undefined) throw error;
    bytes = answer(unique, number);
  }
  try {
    fs.writeSync(DEVICE, bytes);
  } catch (error) {
    // Nobody waits for it any more.
    if (error.code !== 'ENOENT') throw error;
  }
}

function receive(error, length, buffer) {
  // It was unmounted.
  if (error?.code === 'ENODEV') process.exit(0);
  if (error !== null && error !== undefined) throw error;
  if (length > 0) {
    const request = readRequest(Buffer.from(buffer.subarray(0, length)));
    if (!UNANSWERED.has(request.operation)) {
      const rule = ruleFor(request);
      if (rule.kill) process.kill(process.pid, 'SIGKILL');
      if (rule.delayMs !== undefined) setTimeout(() => respond(request, rule), rule.delayMs);
      else if (!rule.hang) respond(request, rule);
    }
  }
  fs.read(DEVICE, buffer, 0, buffer.length, null, receive);
}
receive(null, 0, Buffer.alloc(MOST_WRITE_BYTES + 8192));
