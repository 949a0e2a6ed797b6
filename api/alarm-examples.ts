// The alarm examples (templates): ids, check types and field names are v1.0's, criteria and words are Tocsin's own.
// Binding replaces `${name}` textually, as the original did. Values between \Q and \E are taken literally by the regex.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: `${name}` is the templates' own syntax
import { invalidKey } from './errors.ts';

export interface AlarmExampleField {
  readonly name: string;
  readonly description: string;
  readonly type: 'string' | 'integer' | 'whole number (may be zero padded)';
}

export interface AlarmExample {
  readonly id: string;
  readonly label: string;
  readonly description: string;
  readonly check_type: string;
  readonly criteria: string;
  readonly fields: readonly AlarmExampleField[];
}

const padded = 'whole number (may be zero padded)';

function thresholds(type: AlarmExampleField['type'], what: string): readonly AlarmExampleField[] {
  return [
    { name: 'critical_threshold', description: `${what} for CRITICAL`, type },
    { name: 'warning_threshold', description: `${what} for WARNING`, type },
  ];
}

/** Criteria that go CRITICAL, then WARNING, where an operand passes its thresholds, with a message for each. */
function twoLevels(
  operand: string,
  operator: '>' | '<',
  messages: readonly [critical: string, warning: string, ok: string],
): string {
  const [critical, warning, fine] = messages;
  return [
    `if (${operand} ${operator} \${critical_threshold}) {`,
    `  return new AlarmStatus(CRITICAL, '${critical}');`,
    '}',
    `if (${operand} ${operator} \${warning_threshold}) {`,
    `  return new AlarmStatus(WARNING, '${warning}');`,
    '}',
    `return new AlarmStatus(OK, '${fine}');`,
  ].join('\n');
}

function either(condition: string, yes: string, no: string): string {
  return `if (${condition}) {\n  return new AlarmStatus(${yes});\n}\nreturn new AlarmStatus(${no});`;
}

/** All examples, by id. */
export const alarmExamples: readonly AlarmExample[] = [
  {
    id: 'remote.http_body_match_1',
    label: 'Body match - string found',
    description: 'CRITICAL when the text found in the body matches a regular expression',
    check_type: 'remote.http',
    criteria:
      "if (metric['body_match'] regex '${string}') {\n  return new AlarmStatus(CRITICAL, 'The body holds a text that it must not hold');\n}",
    fields: [{ name: 'string', description: 'Regular expression to look for', type: 'string' }],
  },
  {
    id: 'remote.http_body_match_missing_string',
    label: 'Body match - string missing',
    description: 'CRITICAL when the body lacks the text that the check looks for',
    check_type: 'remote.http',
    criteria: either(
      "metric['body_match'] == ''",
      "CRITICAL, 'The expected text is missing from the body'",
      "OK, 'The expected text is in the body'",
    ),
    fields: [],
  },
  {
    id: 'remote.http_connection_time',
    label: 'Connection time',
    description: 'Alarms on the time that the whole request takes, in milliseconds',
    check_type: 'remote.http',
    criteria: twoLevels("metric['duration']", '>', [
      'The request took #{duration} ms',
      'The request took #{duration} ms',
      'The request took #{duration} ms, as it should',
    ]),
    fields: thresholds('integer', 'Milliseconds'),
  },
  {
    id: 'remote.http_status_code',
    label: 'Status code',
    description: 'CRITICAL when the server answers with a 4xx or 5xx status',
    check_type: 'remote.http',
    criteria: [
      "if (metric['code'] regex '^4[0-9][0-9]$') {",
      "  return new AlarmStatus(CRITICAL, 'The server refuses the request: #{code}');",
      '}',
      "if (metric['code'] regex '^5[0-9][0-9]$') {",
      "  return new AlarmStatus(CRITICAL, 'The server fails: #{code}');",
      '}',
      "return new AlarmStatus(OK, 'The server answers with #{code}');",
    ].join('\n'),
    fields: [],
  },
  {
    id: 'remote.http_cert_expiration',
    label: 'Certificate expiration',
    description: 'Alarms on the seconds that are left until the certificate ends',
    check_type: 'remote.http',
    criteria: twoLevels("metric['cert_end_in']", '<', [
      'The certificate ends in #{cert_end_in} seconds',
      'The certificate ends in #{cert_end_in} seconds',
      'The certificate is good for another #{cert_end_in} seconds',
    ]),
    fields: thresholds('integer', 'Seconds left'),
  },
  {
    id: 'remote.dns_address_match',
    label: 'DNS record address match',
    description: 'CRITICAL when the answer does not hold an address',
    check_type: 'remote.dns',
    criteria: either(
      "metric['answer'] regex '(^|[ ,])\\\\Q${address}\\\\E($|[ ,])'",
      "OK, 'The address is in the answer'",
      "CRITICAL, 'The address is not in the answer'",
    ),
    fields: [{ name: 'address', description: 'Address that must be there', type: 'string' }],
  },
  {
    id: 'remote.ssh_fingerprint_match',
    label: 'SSH fingerprint match',
    description: 'CRITICAL when the host key has another fingerprint',
    check_type: 'remote.ssh',
    criteria: either(
      "metric['fingerprint'] != '${fingerprint}'",
      "CRITICAL, 'The host key has the fingerprint #{fingerprint}'",
      "OK, 'The host key is the expected one'",
    ),
    fields: [{ name: 'fingerprint', description: 'Expected fingerprint', type: 'string' }],
  },
  {
    id: 'remote.ping_packet_loss',
    label: 'Ping packet loss',
    description: 'Alarms when less than 95 or 80 percent of the packets come back',
    check_type: 'remote.ping',
    criteria: [
      "if (metric['available'] < 80) {",
      "  return new AlarmStatus(CRITICAL, 'Only #{available} percent of the packets come back');",
      '}',
      "if (metric['available'] < 95) {",
      "  return new AlarmStatus(WARNING, '#{available} percent of the packets come back');",
      '}',
      "return new AlarmStatus(OK, '#{available} percent of the packets come back');",
    ].join('\n'),
    fields: [],
  },
  {
    id: 'remote.tcp_connection_time',
    label: 'TCP connection time',
    description: 'Alarms on the time that a connection takes, in milliseconds',
    check_type: 'remote.tcp',
    criteria: twoLevels("metric['duration']", '>', [
      'Connecting took #{duration} ms',
      'Connecting took #{duration} ms',
      'Connecting took #{duration} ms, as it should',
    ]),
    fields: thresholds('integer', 'Milliseconds'),
  },
  {
    id: 'remote.dns_spf_record_include_match',
    label: 'SPF record includes a domain',
    description: 'CRITICAL when the answer is no SPF record that includes a domain',
    check_type: 'remote.dns',
    criteria: either(
      "metric['answer'] regex 'v=spf1.* .?include:\\\\Q${domain}\\\\E($|[ ,\"])'",
      "OK, 'The SPF record includes the domain'",
      "CRITICAL, 'The SPF record does not include the domain'",
    ),
    fields: [{ name: 'domain', description: 'Domain that must be included', type: 'string' }],
  },
  {
    id: 'remote.dns_dkim_public_key_match',
    label: 'DKIM public key match',
    description: 'CRITICAL when the DKIM record has another public key',
    check_type: 'remote.dns',
    criteria: either(
      "metric['answer'] regex 'p=\\\\Q${public_key}\\\\E\"?$'",
      "OK, 'The DKIM record has the expected key'",
      "CRITICAL, 'The DKIM record has another key'",
    ),
    fields: [{ name: 'public_key', description: 'Expected public key', type: 'string' }],
  },
  {
    id: 'agent.cpu_usage_average',
    label: 'CPU usage',
    description: 'Alarms on the average use of all processors, in percent',
    check_type: 'agent.cpu',
    criteria: twoLevels("metric['usage_average']", '>', [
      'The processors are #{usage_average} percent busy',
      'The processors are #{usage_average} percent busy',
      'The processors are #{usage_average} percent busy',
    ]),
    fields: thresholds(padded, 'Percent'),
  },
  {
    id: 'agent.memory_usage',
    label: 'Memory usage',
    description: 'Alarms when more than 80 or 90 percent of the memory is used',
    check_type: 'agent.memory',
    criteria: [
      "if (percentage(metric['actual_used'], metric['total']) > 90) {",
      "  return new AlarmStatus(CRITICAL, 'More than 90 percent of the memory is used');",
      '}',
      "if (percentage(metric['actual_used'], metric['total']) > 80) {",
      "  return new AlarmStatus(WARNING, 'More than 80 percent of the memory is used');",
      '}',
      "return new AlarmStatus(OK, 'There is memory left');",
    ].join('\n'),
    fields: [],
  },
  {
    id: 'agent.filesystem_usage',
    label: 'Filesystem usage',
    description: 'Alarms on the part of a filesystem that is used, in percent',
    check_type: 'agent.filesystem',
    criteria: twoLevels("percentage(metric['used'], metric['total'])", '>', [
      'More than ${critical_threshold} percent of the filesystem is used',
      'More than ${warning_threshold} percent of the filesystem is used',
      'There is space left',
    ]),
    fields: thresholds(padded, 'Percent'),
  },
  {
    id: 'agent.high_load_average',
    label: 'High load average',
    description: 'Alarms on the load average of five minutes',
    check_type: 'agent.load_average',
    criteria: twoLevels("metric['5m']", '>', [
      'The load is #{5m}',
      'The load is #{5m}',
      'The load is #{5m}',
    ]),
    fields: thresholds(padded, 'Load'),
  },
  {
    id: 'agent.network_transmit_rate',
    label: 'Network transmit rate',
    description: 'Alarms on the bytes that an interface sends in a second',
    check_type: 'agent.network',
    criteria: twoLevels("rate(metric['tx_bytes'])", '>', [
      '${interface} sends more than ${critical_threshold} bytes in a second',
      '${interface} sends more than ${warning_threshold} bytes in a second',
      '${interface} sends at an ordinary rate',
    ]),
    fields: [interfaceField(), ...thresholds(padded, 'Bytes per second')],
  },
  {
    id: 'agent.network_receive_rate',
    label: 'Network receive rate',
    description: 'Alarms on the bytes that an interface receives in a second',
    check_type: 'agent.network',
    criteria: twoLevels("rate(metric['rx_bytes'])", '>', [
      '${interface} receives more than ${critical_threshold} bytes in a second',
      '${interface} receives more than ${warning_threshold} bytes in a second',
      '${interface} receives at an ordinary rate',
    ]),
    fields: [interfaceField(), ...thresholds(padded, 'Bytes per second')],
  },
  {
    id: 'agent.mysql_threads_connected_threshold',
    label: 'MySQL threads connected',
    description: 'WARNING when more threads are connected than a threshold',
    check_type: 'agent.mysql',
    criteria: either(
      "metric['threads.connected'] > ${threads.connected.threshold}",
      "WARNING, '#{threads.connected} threads are connected'",
      "OK, '#{threads.connected} threads are connected'",
    ),
    fields: [
      { name: 'threads.connected.threshold', description: 'Threads for WARNING', type: padded },
    ],
  },
];

function interfaceField(): AlarmExampleField {
  return { name: 'interface', description: 'Name of the interface', type: 'string' };
}

/** Returns the criteria with every `${name}` replaced. Throws 400 for a missing or overlong value. */
export function boundCriteria(
  example: AlarmExample,
  values: Readonly<Record<string, unknown>>,
): string {
  let bound = example.criteria;
  for (const { name, type } of example.fields) {
    const given = Object.hasOwn(values, name) ? values[name] : undefined;
    if (given === undefined || given === null || given === '') {
      throw invalidKey(name, `Missing required key (${name})`);
    }
    if (typeof given === 'object') throw invalidKey(name, 'Not a string');
    const value = String(given);
    if (value.length > 1_024) throw invalidKey(name, 'String is not in range (1..1024)');
    if (type !== 'string' && !/^-?\d{1,18}$/.test(value)) throw invalidKey(name, 'Invalid integer');
    const literal = type === 'string' ? value : value.replace(/^(-?)0+(?=\d)/, '$1');
    bound = bound.replaceAll(`\${${name}}`, () => literal);
  }
  return bound;
}
