// Starts the prober program: through perl, which opens the ICMP datagram sockets that Node cannot and becomes the
// prober (lab.md §3), or directly where there is no perl. Must not know requests.
import { type ChildProcess, spawn } from 'node:child_process';
import { extname } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { findProgram, standardPath } from './program-path.ts';

/** `$^F` first, else perl marks the descriptors close-on-exec. Where a socket is refused the prober starts without. */
const perlOpener = [
  '$^F = 99;',
  'our ($four, $six);',
  'delete @ENV{qw(ICMP_FD ICMP6_FD)};',
  'socket($four, PF_INET, SOCK_DGRAM, 1) and $ENV{ICMP_FD} = fileno($four);',
  'eval { socket($six, PF_INET6, SOCK_DGRAM, 58) and $ENV{ICMP6_FD} = fileno($six) };',
  'exec { $ARGV[0] } @ARGV or die $!;',
].join(' ');

/**
 * No code from strings; a young generation of 2 MB: garbage of probes dies young, so it costs no speed (measured:
 * 212 µs a check with 2, 4 and 8 MB) and saves 18 MB of memory. Collections of 2 MB are over before helper threads wake:
 * without them a check costs a tenth less CPU.
 */
const engineArguments = [
  '--disallow-code-generation-from-strings',
  '--max-semi-space-size=2',
  '--single-threaded-gc',
];

/** Returns the Node arguments that run the prober: from source through tsx, from dist as it is. */
export function proberArguments(): string[] {
  const extension = extname(import.meta.url);
  const entry = fileURLToPath(new URL(`./main${extension}`, import.meta.url));
  const loader = extension === '.ts' ? ['--import', import.meta.resolve('tsx')] : [];
  return [...engineArguments, ...loader, entry];
}

/** Returns the started process; `environment` is all that it sees, and holds no secret. */
export function launchProber(environment: Readonly<Record<string, string>>): ChildProcess {
  const searchPath = environment['PATH'] ?? standardPath;
  const env = { ...environment, PATH: searchPath };
  const command = [process.execPath, ...proberArguments()];
  const perl = findProgram('perl', searchPath);
  const [program = process.execPath, ...args] =
    perl === null ? command : [perl, '-MSocket', '-e', perlOpener, ...command];
  return spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
}
