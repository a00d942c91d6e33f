// Loaded with --require: writes what the program asks the file system to make durable, in the order in which it was
// answered, to the file that FS_JOURNAL names. FS_CLOCK_AHEAD: milliseconds by which the program's clock is wrong.
'use strict';
const fs = require('node:fs');

const { appendFileSync, readlinkSync } = fs;
const note = (line) => appendFileSync(process.env.FS_JOURNAL, `${line}\n`);
const pathOf = (descriptor) => readlinkSync(`/proc/self/fd/${descriptor}`);

const CALLS = {
  fsync: (descriptor) => `sync ${pathOf(descriptor)}`,
  link: (_, path) => `name ${path}`,
  rename: (_, path) => `name ${path}`,
  mkdir: (path) => `make ${path}`,
};
for (const [name, describe] of Object.entries(CALLS)) {
  const asynchronous = fs[name];
  fs[name] = (...args) => {
    const line = describe(...args);
    const done = args.pop();
    asynchronous(...args, (error, ...rest) => {
      if (!error) note(line);
      done(error, ...rest);
    });
  };
  const synchronous = fs[`${name}Sync`];
  fs[`${name}Sync`] = (...args) => {
    const line = describe(...args);
    const result = synchronous(...args);
    note(line);
    return result;
  };
}

const promised = fs.promises;
const { open, rename } = promised;
promised.rename = async (from, to) => {
  await rename(from, to);
  note(`name ${to}`);
};
promised.open = async (...args) => {
  const file = await open(...args);
  const { sync } = file;
  file.sync = async () => {
    const line = `sync ${pathOf(file.fd)}`;
    await sync.call(file);
    note(line);
  };
  return file;
};

const { now } = Date;
Date.now = () => now() + Number(process.env.FS_CLOCK_AHEAD ?? 0);
