// isomorphic-git from a command line: `node isomorphic.js clone|fetch|push DIR URL [REF…]`.

const fs = require('fs');
const git = require('isomorphic-git');
const http = require('isomorphic-git/http/node');

async function main() {
  const [command, dir, url, ...refs] = process.argv.slice(2);
  if (command === 'clone') {
    await git.clone({ fs, http, dir, url });
  } else if (command === 'fetch') {
    await git.fetch({ fs, http, dir, url, remote: 'origin', ref: 'main' });
  } else if (command === 'push') {
    for (const ref of refs) {
      const done = await git.push({ fs, http, dir, url, ref, remoteRef: ref });
      if (!done.ok) throw new Error(JSON.stringify(done));
    }
  } else {
    throw new Error(`no such command: ${command}`);
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
