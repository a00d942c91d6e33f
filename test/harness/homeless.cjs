// Loaded with --require: the user who runs the program is one that the system does not know, and has no home.
'use strict';
require('node:os').homedir = () => {
  throw Object.assign(new Error('A system error occurred: uv_os_homedir returned ENOENT'), {
    code: 'ERR_SYSTEM_ERROR',
  });
};
