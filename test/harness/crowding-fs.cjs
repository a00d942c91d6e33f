// Loaded with --require: makes the worst order of a race in a file store certain. The object of the segment CROWD_NAMED is
// written only when CROWD_OTHERS others are written whole, and these are not synced before its temporary file is gone.
'use strict';
const fs = require('node:fs');

const { CROWD_NAMED: named, CROWD_OTHERS: others } = process.env;
const { open, writev, fsync, unlink } = fs;
const temporaryOf = new Map();
const waitingForOthers = [];
const waitingForNamed = [];
let written = 0;
let isOver = false;

const isNamed = (path) => path.includes(`/.${named}.lzo.`);
const goOn = (waiting) => waiting.splice(0).forEach((call) => void call());

fs.open = (path, flags, done) =>
  open(path, flags, (error, descriptor) => {
    if (!error && path.endsWith('.tmp')) temporaryOf.set(descriptor, path);
    done(error, descriptor);
  });

fs.writev = (descriptor, chunks, done) => {
  const call = () => writev(descriptor, chunks, done);
  if (isOver || written === Number(others) || !isNamed(temporaryOf.get(descriptor) ?? '')) call();
  else waitingForOthers.push(call);
};

fs.fsync = (descriptor, done) => {
  const call = () => fsync(descriptor, done);
  const path = temporaryOf.get(descriptor);
  if (isOver || path === undefined || isNamed(path)) return call();
  waitingForNamed.push(call);
  written += 1;
  if (written === Number(others)) goOn(waitingForOthers);
};

fs.unlink = (path, done) =>
  unlink(path, (error) => {
    done(error);
    if (!isNamed(path)) return;
    isOver = true;
    // Whoever was told of the failure has acted upon it by then.
    setImmediate(() => goOn(waitingForNamed));
  });
