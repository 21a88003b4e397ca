/**
 * `node get-as.mjs UID GID SOCKET PATH`: GETs PATH over a unix socket as another user and prints { status, body }.
 * It starts as root and becomes the user before it connects, so the user need not be able to read this checkout.
 */
import { request } from 'node:http';

const [uid, gid, socketPath, path] = process.argv.slice(2);
process.setgroups([]);
process.setgid(Number(gid));
process.setuid(Number(uid));
request({ socketPath, path }, (answer) => {
  let text = '';
  answer.setEncoding('utf8');
  answer.on('data', (part) => (text += part));
  answer.on('end', () => console.log(JSON.stringify({ status: answer.statusCode, body: JSON.parse(text) })));
}).end();
