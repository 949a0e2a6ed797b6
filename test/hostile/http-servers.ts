// Hostile HTTP servers: framing, headers, encodings, redirects, challenges. Each with the error class it must end in.
import zlib from 'node:zlib';
import { answers, drip, flood, sends, type ZooServer } from './zoo-server.ts';

const ok = 'HTTP/1.1 200 OK\r\n';
const page = (headers: string, body: string | Buffer = ''): Buffer =>
  Buffer.concat([
    Buffer.from(`${ok}${headers}\r\n\r\n`, 'latin1'),
    typeof body === 'string' ? Buffer.from(body, 'latin1') : body,
  ]);
const http = (name: string, expected: string | null, bytes: string | Buffer): ZooServer => ({
  name,
  expects: { http: expected },
  start: sends(bytes),
});
const chunked = (name: string, expected: string | null, body: string): ZooServer =>
  http(`chunking: ${name}`, expected, page('Transfer-Encoding: chunked', body));
const redirect = (name: string, expected: string, location: string): ZooServer =>
  http(
    `redirect: ${name}`,
    expected,
    `HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`,
  );
const challenge = (name: string, expected: string | null, header: string): ZooServer => ({
  name: `challenge: ${name}`,
  expects: { auth: expected },
  start: sends(
    `HTTP/1.1 401 No\r\nWWW-Authenticate: ${header}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
  ),
});

const zeros = Buffer.alloc(8 * 1024 * 1024);
const bomb = { gzip: zlib.gzipSync(zeros), deflate: zlib.deflateSync(zeros), br: brotli(zeros) };

function brotli(bytes: Buffer): Buffer {
  return zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } });
}

const encoded = (encoding: string, body: Buffer): Buffer =>
  page(`Content-Encoding: ${encoding}\r\nContent-Length: ${body.length}`, body);
const plain = zlib.gzipSync('xxxx'.repeat(1000));

const framing: readonly ZooServer[] = [
  {
    name: 'headers without end',
    expects: { http: 'header-overflow' },
    start: answers((socket) => {
      socket.write(ok);
      flood(socket, Buffer.from('X-More: of the same\r\n'.repeat(100)));
    }),
  },
  {
    name: 'one header line without end',
    expects: { http: 'header-overflow' },
    start: answers((socket) => {
      socket.write(`${ok}X-Long: `);
      flood(socket, Buffer.alloc(4096, 'a'));
    }),
  },
  {
    name: 'a status line without end',
    expects: { http: 'header-overflow' },
    start: answers((socket) => {
      socket.write('HTTP/1.1 200 ');
      flood(socket, Buffer.alloc(4096, 'a'));
    }),
  },
  {
    name: 'headers that drip',
    expects: { http: 'timeout' },
    start: answers((socket) => {
      socket.write(ok);
      drip(socket, 'X', 100);
    }),
  },
  {
    name: 'a body without end, without length',
    expects: { http: null },
    start: answers((socket) => {
      socket.write(page('Connection: close'));
      flood(socket, Buffer.alloc(16_384, 'x'));
    }),
  },
  {
    name: 'a body without end, chunked',
    expects: { http: null },
    start: answers((socket) => {
      socket.write(page('Transfer-Encoding: chunked'));
      flood(socket, Buffer.from(`1000\r\n${'x'.repeat(4096)}\r\n`));
    }),
  },
  {
    name: 'a body without end in chunks of one byte',
    expects: { http: null },
    start: answers((socket) => {
      socket.write(page('Transfer-Encoding: chunked'));
      flood(socket, Buffer.from('1\r\nx\r\n'.repeat(2000)));
    }),
  },
  {
    name: 'a body that drips',
    expects: { http: 'timeout' },
    start: answers((socket) => {
      socket.write(page('Content-Length: 100000'));
      drip(socket, 'x', 100);
    }),
  },
  {
    name: 'chunks of zero progress: extensions without end',
    expects: { http: 'header-overflow' },
    start: answers((socket) => {
      socket.write(page('Transfer-Encoding: chunked', '5;'));
      flood(socket, Buffer.alloc(4096, 'e'));
    }),
  },
  {
    name: 'trailers without end',
    expects: { http: 'header-overflow' },
    start: answers((socket) => {
      socket.write(page('Transfer-Encoding: chunked', '1\r\nx\r\n0\r\n'));
      flood(socket, Buffer.from('X-Trailer: more\r\n'.repeat(100)));
    }),
  },
  {
    name: '1xx without end',
    expects: { http: 'header-overflow' },
    start: answers((socket) => flood(socket, Buffer.from('HTTP/1.1 103 Early\r\n\r\n'.repeat(50)))),
  },
  {
    name: '1xx that drip',
    expects: { http: 'timeout' },
    start: answers((socket) => drip(socket, 'HTTP/1.1 100 Continue\r\n\r\n', 400)),
  },
  {
    name: 'an upgrade that nobody asked for, then noise',
    expects: { http: null },
    start: answers((socket) => {
      socket.write('HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
      flood(socket, Buffer.alloc(4096, 0x82));
    }),
  },
];

const malformed: readonly ZooServer[] = [
  http('HTTP/0.9', 'malformed-response', '<html>hello</html>'),
  http('HTTP/9.9', 'malformed-response', 'HTTP/9.9 200 OK\r\n\r\n'),
  http('http/1.1 in lower case', 'malformed-response', 'http/1.1 200 OK\r\n\r\n'),
  http('another protocol', 'malformed-response', 'SSH-2.0-OpenSSH_9.9\r\n'),
  http('a status of five digits', 'malformed-response', 'HTTP/1.1 99999 OK\r\n\r\n'),
  http('a status that is no number', 'malformed-response', 'HTTP/1.1 -20 OK\r\n\r\n'),
  http('NUL in a header value', 'malformed-response', page('X-A: a\0b')),
  http('NUL in a header name', 'malformed-response', page('X\0A: a')),
  http('a header without colon', 'malformed-response', page('X-A b')),
  http('a blank before the colon', 'malformed-response', page('X-A : b')),
  http('an empty header name', 'malformed-response', page(': b')),
  http('a bare CR in a header', 'malformed-response', page('X-A: a\rX-B: b')),
  http('obs-fold', 'malformed-response', page('X-A: a\r\n folded: b\r\nContent-Length: 0')),
  http('length: negative', 'malformed-response', page('Content-Length: -1')),
  http('length: signed', 'malformed-response', page('Content-Length: +1', 'x')),
  http('length: hexadecimal', 'malformed-response', page('Content-Length: 0x10', 'x')),
  http('length: 2^64', 'malformed-response', page('Content-Length: 18446744073709551616')),
  http('length: a list', 'malformed-response', page('Content-Length: 1, 1', 'x')),
  http('length: twice', 'malformed-response', page('Content-Length: 1\r\nContent-Length: 2', 'xy')),
  http('length: huge, then closed', 'incomplete-response', page('Content-Length: 999999999999')),
  http(
    'length beside chunked',
    'malformed-response',
    page('Content-Length: 3\r\nTransfer-Encoding: chunked', '1\r\nx\r\n0\r\n\r\n'),
  ),
  chunked('negative size', 'malformed-response', '-1\r\nx\r\n0\r\n\r\n'),
  chunked('no hexadecimal', 'malformed-response', 'zz\r\nx\r\n0\r\n\r\n'),
  chunked('size of 2^64', 'malformed-response', 'FFFFFFFFFFFFFFFFF\r\nx'),
  chunked('size of 2^63', 'incomplete-response', '7FFFFFFFFFFFFFFF\r\nx'),
  chunked('wrong end', 'malformed-response', '1\r\nxx\r\n0\r\n\r\n'),
  chunked('empty size', 'malformed-response', '\r\nx\r\n0\r\n\r\n'),
  chunked('prefix 0x', 'malformed-response', '0x1\r\nx\r\n0\r\n\r\n'),
  chunked('bare LF', 'malformed-response', '1\nx\n0\n\n'),
  chunked('closed early', 'incomplete-response', '10\r\nx'),
];

const splitting: readonly ZooServer[] = [
  http(
    'a second answer behind the first',
    null,
    Buffer.concat([page('Content-Length: 1', 'x'), page('X-Evil: 1\r\nContent-Length: 1', 'y')]),
  ),
  http(
    'a split header with an answer inside',
    null,
    page('X-A: a\r\nContent-Length: 0', 'HTTP/1.1 500 Evil\r\nContent-Length: 0\r\n\r\n'),
  ),
  http('204 with a body', 'malformed-response', 'HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\nabc'),
  http(
    '304 with chunks',
    'malformed-response',
    'HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n',
  ),
  http('bytes beyond ASCII in a header', null, page('X-A: \xff\xfe\x80\r\nContent-Length: 0')),
];

const compression: readonly ZooServer[] = [
  http('gzip bomb', 'decompression-bomb', encoded('gzip', bomb.gzip)),
  http('deflate bomb', 'decompression-bomb', encoded('deflate', bomb.deflate)),
  http('brotli bomb', 'decompression-bomb', encoded('br', bomb.br)),
  http('raw deflate bomb', 'decompression-bomb', encoded('deflate', zlib.deflateRawSync(zeros))),
  http('truncated gzip', 'malformed-encoding', encoded('gzip', plain.subarray(0, 30))),
  http('gzip that is none', 'malformed-encoding', encoded('gzip', Buffer.from('xxxxxxxx'))),
  http('brotli that is none', 'malformed-encoding', encoded('br', Buffer.alloc(100, 0xff))),
  http('an unknown encoding', 'unknown-encoding', encoded('zstd', plain)),
  http('gzip 300 times in one header', 'unknown-encoding', encoded('gzip, '.repeat(300), plain)),
  http(
    'Content-Encoding 300 times',
    'unknown-encoding',
    page('Content-Encoding: gzip\r\n'.repeat(300), plain),
  ),
  http(
    'Content-Encoding 1000 times',
    'header-overflow',
    page('Content-Encoding: gzip\r\n'.repeat(1000), plain),
  ),
  {
    name: 'a gzip stream without end',
    expects: { http: 'decompression-bomb' },
    start: answers((socket) => {
      socket.write(page('Content-Encoding: gzip'));
      flood(socket, bomb.gzip.subarray(0, 4096));
    }),
  },
];

const redirects: readonly ZooServer[] = [
  redirect('without end', 'redirect-loop', '/'),
  redirect('longer without end', 'redirect-loop', `/${'a'.repeat(8000)}`),
  redirect('to the metadata service', 'target-not-allowed', 'http://169.254.169.254/latest/'),
  redirect('to its number', 'target-not-allowed', 'http://0xa9fea9fe/'),
  redirect('to its mapped form', 'target-not-allowed', 'http://[::ffff:a9fe:a9fe]/'),
  redirect('to 0.0.0.0', 'target-not-allowed', 'http://0/'),
  redirect('to a file', 'redirect-refused', 'file:///etc/passwd'),
  redirect('to gopher', 'redirect-refused', 'gopher://127.0.0.1:11211/_stats'),
  redirect('to a script', 'redirect-refused', 'javascript:alert(1)'),
  redirect('to no URL', 'redirect-refused', 'http://[::1'),
  redirect('to a port beyond 65535', 'redirect-refused', 'http://127.0.0.1:99999/'),
  redirect('to a name with control characters', 'redirect-refused', 'http://a\x80b/'),
];

const challenges: readonly ZooServer[] = [
  challenge('Basic for ever', null, 'Basic realm="x"'),
  challenge('Digest for ever', null, 'Digest realm="x", nonce="n", qop="auth"'),
  challenge('Digest without nonce', 'auth-unsupported', 'Digest realm="x"'),
  challenge('Digest of another algorithm', null, 'Digest nonce="n", algorithm=MD6'),
  challenge('nonce of control bytes', 'auth-unsupported', 'Digest realm="x", nonce="\x80\x85"'),
  challenge('1400 challenges', 'auth-unsupported', 'Digest a, '.repeat(1400)),
  challenge('quotes without end', 'auth-unsupported', `Digest realm="${'\\'.repeat(8000)}`),
];

/** Every hostile HTTP server. */
export const httpServers: readonly ZooServer[] = [
  ...framing,
  ...malformed,
  ...splitting,
  ...compression,
  ...redirects,
  ...challenges,
];
